/** Reads JSON of requests: limited, parsed and validated, with errors that name the field. */
import { z } from 'zod'
import { readBytesAtMost } from '../lib/bounded-body.ts'
import { decodeText, UndecodableText } from '../lib/charset.ts'
import { yieldToEventLoop } from '../lib/turn-budget.ts'
import { type JsonRules, parseJson } from './canonical-json.ts'
import { badJson, MatrixError, tooLarge } from './errors.ts'
import { isObject, type JsonObject } from './json.ts'

/** A part of a body that is kept unchanged. */
export const jsonObject = z.custom<JsonObject>(isObject, 'must be an object')

const MAX_BODY_BYTES = 1024 * 1024
/** Reading, parsing and validating a longer body each get their own turn of the event loop. */
const LARGE_CHARACTERS = 64 * 1024

/** Reads a body's JSON object. An absent body is `{}`: calls without parameters send none. */
export async function readObject(request: Request, rules?: JsonRules): Promise<JsonObject> {
  const text = await readText(request)
  if (text === '') return {}
  const isLarge = text.length > LARGE_CHARACTERS
  if (isLarge) await yieldToEventLoop()
  const value = parseJson(text, rules)
  if (isLarge) await yieldToEventLoop()
  if (!isObject(value)) throw badJson('The body must be a JSON object')
  return value
}

async function readText(request: Request): Promise<string> {
  const bytes = await readBytesAtMost(request, MAX_BODY_BYTES)
  if (bytes === null) throw tooLarge('The body is larger than 1 MiB')
  try {
    return decodeText(bytes)
  } catch (error) {
    if (!(error instanceof UndecodableText)) throw error
    throw new MatrixError(400, 'M_NOT_JSON', 'The body is not UTF-8')
  }
}

/** M_BAD_JSON, or M_MISSING_PARAM for an absent field, names the first field at fault. */
export function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const given = withoutNulls(schema, value)
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  const missing = isObject(given) && issue?.path.length === 1 && given[String(issue.path[0])] === undefined
  if (missing) throw new MatrixError(400, 'M_MISSING_PARAM', `Missing field: ${field}`)
  throw badJson(field === '' ? 'The body is invalid' : `Invalid field ${field}: ${issue?.message ?? ''}`)
}

/** Drops optional fields that are null: SDKs write null for a field they leave out. */
function withoutNulls(schema: unknown, value: unknown): unknown {
  if (schema instanceof z.ZodOptional) return withoutNulls(schema.unwrap(), value)
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.map(item => withoutNulls(schema.element, item))
  if (!(schema instanceof z.ZodObject) || !isObject(value)) return value
  const given = { ...value }
  for (const [name, field] of Object.entries(schema.shape)) {
    const isAbsent = given[name] === null && field instanceof z.ZodOptional
    if (isAbsent) delete given[name]
    else if (given[name] !== undefined) given[name] = withoutNulls(field, given[name]) as JsonObject
  }
  return given
}

/** Reads and validates a body. */
export async function readBody<T>(request: Request, schema: z.ZodType<T>, rules?: JsonRules): Promise<T> {
  return validate(schema, await readObject(request, rules))
}
