/** Says in one sentence which field is wrong and what was expected, not a validator's dump. */
import type { TSchema, ValidationError } from 'elysia'
import { AS_INTEGER, wholeNumberPhrase } from './schemas.ts'

/** The part of a TypeBox error that is used. */
export interface SchemaError {
  path: string
  schema: TSchema
  value: unknown
}

export function explain(error: ValidationError): string {
  const first = error.valueError
  return first ? explainIssue(first) : 'The request is not as expected'
}

export function explainIssue({ path, schema, value }: SchemaError): string {
  const field = path.split('/').filter(Boolean).join('.')
  if (field === '') return 'The body must be a JSON object'
  if (value === undefined) return `Missing required field: ${field}`
  return `${field}: expected ${expectation(schema)}`
}

function expectation(schema: TSchema): string {
  if (Array.isArray(schema.anyOf)) {
    const values = schema.anyOf.map((option: TSchema) => option.const)
    if (values.every(value => value !== undefined)) return `one of ${values.join(', ')}`
    return [...new Set(schema.anyOf.map(expectation))].join(' or ')
  }
  if (Array.isArray(schema.enum)) return `one of ${schema.enum.join(', ')}`
  if (schema.const !== undefined) return String(schema.const)
  if (schema[AS_INTEGER]) return wholeNumberPhrase(schema[AS_INTEGER])
  switch (schema.type) {
    case 'string':
      return text(schema)
    case 'boolean':
      return 'true or false'
    case 'integer':
      return number('a whole number', schema)
    case 'number':
      return number('a number', schema)
    case 'array':
      return list(schema)
    case 'object':
      return 'an object'
    case 'null':
      return 'null'
    default:
      return 'another value'
  }
}

function number(what: string, { minimum, maximum }: TSchema): string {
  return minimum !== undefined && maximum !== undefined ? `${what} from ${minimum} to ${maximum}` : what
}

function list({ minItems, maxItems }: TSchema): string {
  if (minItems && maxItems) return `a list of ${minItems} to ${maxItems}`
  return maxItems ? `a list of at most ${maxItems}` : 'a list'
}

function text({ minLength, maxLength }: TSchema): string {
  if (minLength && maxLength) return `text of ${minLength} to ${maxLength} characters`
  if (maxLength) return `text of at most ${maxLength} characters`
  return minLength ? 'text that is not empty' : 'text'
}
