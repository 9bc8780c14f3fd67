/**
 * Writes a route's entry in the OpenAPI document: what it takes and answers, and with which errors.
 */
import type { DocumentDecoration, TSchema } from 'elysia'
import { NAME } from '../../domain/views/schema.ts'
import type { ErrorStatus } from '../error-answers.ts'
import { isWrite, MAX_KEY_LENGTH } from '../plugins/idempotency.ts'
import type { Answer, Route } from '../route.ts'
import { AS_INTEGER, AS_TEXTS, KNOWN_ONLY } from '../schemas.ts'
import { errorReference } from './described-errors.ts'

/** @returns what Elysia takes as `detail` */
export function operation(route: Route): DocumentDecoration {
  const { id, tag, summary, description, access, params, query, method } = route
  const takesKey = isWrite(method)
  const answers = [route.answer, ...(route.or ? [route.or] : [])]
  const parameters = [
    ...parametersOf('path', params),
    ...parametersOf('query', query),
    ...(takesKey ? [KEY_PARAMETER] : []),
  ]
  const bodies = route.reads ?? (route.body && { 'application/json': route.body })
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    security: access.by === 'none' ? [] : [{ [access.by]: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(bodies && { requestBody: requestBody(bodies) }),
    responses: Object.fromEntries([
      ...answers.map(answer => [answer.status, { ...responseOf(answer), ...(takesKey && REPLAYABLE) }]),
      ...errorsOf(route)
        .filter(status => answers.every(answer => answer.status !== status))
        .map(status => [status, errorReference(status)]),
    ]),
  } as DocumentDecoration
}

/** The route's own errors, and those that follow from what it is. */
function errorsOf({ errors = [], access, body, reads, method }: Route): ErrorStatus[] {
  const all: ErrorStatus[] = [...errors, 400, 500, 503]
  if (access.by !== 'none') all.push(401, 403, 429)
  if (body || reads) all.push(413, 415)
  if (isWrite(method)) all.push(409, 422, 507)
  return [...new Set(all)].sort((a, b) => a - b)
}

function parametersOf(place: 'path' | 'query', schema: TSchema | undefined) {
  return Object.entries<TSchema>(schema?.properties ?? {}).map(([name, property]) => {
    const { description, example, ...rest } = plain(property)
    return {
      name,
      in: place,
      required: place === 'path' || schema?.required?.includes(name) === true,
      description,
      example,
      schema: rest,
    }
  })
}

/** A body with nothing that has to be said may be left out. */
function requestBody(bodies: Record<string, TSchema>) {
  return {
    required: Object.values(bodies).some(({ required }) => required?.length > 0),
    content: contentOf(bodies),
  }
}

function responseOf({ description, schema, example, contentType = 'application/json', also }: Answer) {
  if (!schema) return { description }
  return { description, content: contentOf({ [contentType]: schema, ...also }, example) }
}

function contentOf(schemas: Record<string, TSchema>, example?: unknown) {
  const content = Object.entries(schemas)
  return Object.fromEntries(content.map(([type, schema]) => [type, { schema: plain(schema), example }]))
}

const KEY_PARAMETER = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Makes it safe to ask again when no answer came: for 24 hours the same key with the same request gets the first answer and nothing is done twice. With another request it is a 422.',
  // Without an example, which the page would fill in and send with every request.
  schema: { type: 'string', minLength: 1, maxLength: MAX_KEY_LENGTH },
}

const REPLAYABLE = {
  headers: {
    'Idempotency-Replayed': {
      description: '`true` when this is the answer to an earlier request with the same Idempotency-Key.',
      schema: { type: 'string', enum: ['true'] },
    },
  },
}

/** A TypeBox schema (or anything that contains some) in the dialect of OpenAPI 3.0. */
export function plain(schema: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) =>
    isObject(value) ? dialect(value) : value,
  )
}

/**
 * JSON Schema has `examples`, `const` and a type null; OpenAPI 3.0 has `example`, `enum` and
 * `nullable`.
 */
function dialect(value: Record<string, unknown>): Record<string, unknown> {
  const { examples, anyOf, ...rest } = value
  if (value[KNOWN_ONLY]) {
    return {
      ...dialect({ ...value, [KNOWN_ONLY]: undefined, additionalProperties: undefined }),
      additionalProperties: false,
    }
  }
  // Elysia adds it to schemas it has compiled; but unknown fields of them are ignored, not refused.
  if (value.additionalProperties === false) return dialect({ ...value, additionalProperties: undefined })
  if (isObject(value.patternProperties)) {
    const [additionalProperties] = Object.values(value.patternProperties)
    return dialect({ ...value, patternProperties: undefined, additionalProperties })
  }
  if (Array.isArray(examples)) return dialect({ ...value, examples: undefined, example: examples[0] })
  if (isObject(value[AS_INTEGER])) return { type: 'integer', ...value[AS_INTEGER] }
  if (isObject(value[AS_TEXTS])) return { type: 'object', ...value[AS_TEXTS] }
  if ('const' in value) return { type: typeof value.const, enum: [value.const] }
  if (value.type === 'null') return { ...value, ...NULL }
  if (!Array.isArray(anyOf)) return value
  const options = anyOf.filter(option => !isNull(option))
  const [named] = options
  // One that the document has under a name stays as it is, beside null.
  if (options.length === 1 && anyOf.length === 2 && named?.[NAME]) return { ...rest, anyOf: [named, NULL] }
  const either = { ...oneOfThem(options), ...rest }
  return options.length < anyOf.length ? nullable(either) : either
}

const NULL = { type: 'object', nullable: true, enum: [null] }
const isNull = ({ enum: values }: Record<string, unknown>) =>
  Array.isArray(values) && values.length === 1 && values[0] === null

function oneOfThem(options: Record<string, unknown>[]): Record<string, unknown> {
  if (options.length === 1) return options[0] ?? {}
  if (!options.every(option => Array.isArray(option.enum))) return { anyOf: options }
  return { type: 'string', enum: options.flatMap(option => option.enum) }
}

/** OpenAPI 3.0.3: `nullable` counts beside a type alone, and an enum has to name null. */
function nullable(schema: Record<string, unknown>): Record<string, unknown> {
  if (Array.isArray(schema.enum)) return { ...schema, enum: [...schema.enum, null], nullable: true }
  if (!Array.isArray(schema.anyOf)) return { ...schema, nullable: true }
  const [first, ...others] = schema.anyOf
  return { ...schema, anyOf: [nullable(first), ...others] }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
