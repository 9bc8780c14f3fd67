/** Writes a route's entry in the OpenAPI document: what it says, what it answers, and with which errors. */
import type { DocumentDecoration, TSchema } from 'elysia'
import { AS_INTEGER, AS_TEXTS, KNOWN_ONLY } from '../schemas.ts'

type Security = 'basicAuth' | 'bearerAuth' | 'none'

export interface OperationText {
  summary: string
  description?: string
  tag: Tag
  security: Security
  /** Answers that are not errors, by status. */
  answers: Record<number, Answer>
  /** Statuses of the errors it can answer with; what any call can be answered goes without saying. */
  errors: readonly (keyof typeof ERRORS)[]
}

interface Answer {
  description: string
  schema?: TSchema
  contentType?: string
}

export const TAGS = {
  Tokens: 'Keys to an identity. Made and deleted by a credential.',
  Devices: 'Phones and accounts linked to an identity, and how to link one.',
  Contacts: 'People and groups that a device can write to.',
  Platforms: 'The networks there are, and what they can do.',
  Messages: 'Sending, and what became of it.',
  Webhooks: 'Where incoming messages are delivered.',
  Events: 'The same, fetched instead of delivered.',
  Credentials: 'API clients that may make tokens. For super admins.',
  Media: 'Files of incoming messages.',
  Service: 'Whether the gateway is alive and ready.',
} as const
type Tag = keyof typeof TAGS

export const ERRORS = {
  400: 'A field is missing or wrong; `error` names it',
  401: 'Authentication is missing or malformed, or the secret is wrong',
  403: 'The token is unknown or expired, or the credential may not do this',
  404: 'There is no such thing',
  405: 'The path has other methods; see Allow',
  409: 'It exists already, it is in a state that does not allow this, or what came of the first request with this Idempotency-Key isn’t known yet',
  410: 'It is no longer kept; `error` says how to go on',
  413: 'The body or the file is too large',
  415: 'The Content-Type is not supported',
  422: 'The Idempotency-Key stands for another request',
  426: 'The request is no WebSocket handshake',
  429: 'Too many requests; see Retry-After',
  500: 'Something unexpected; the log has it under `request_id`',
  501: 'The network or its bridge cannot do this',
  502: 'The bridge or the homeserver refused, with its reason',
  503: 'The bridge, the homeserver or the database cannot be reached, or the gateway is stopping',
  504: 'The bridge did not answer in time',
  507: 'The disk is full',
} as const

/** @returns what Elysia takes as `detail` */
export function operation(text: OperationText): DocumentDecoration {
  // An address that isn't UTF-8, a defect, a gateway that is stopping; and too many failures where one authenticates.
  const common = [400, ...(text.security === 'none' ? [] : [429 as const]), 500, 503] as const
  const errors = [...new Set([...text.errors, ...common])]
    .filter(status => text.answers[status] === undefined)
    .sort((a, b) => a - b)
  return {
    summary: text.summary,
    ...(text.description === undefined ? {} : { description: text.description }),
    tags: [text.tag],
    security: text.security === 'none' ? [] : [{ [text.security]: [] }],
    responses: {
      ...Object.fromEntries(
        Object.entries(text.answers).map(([status, answer]) => [status, answerOf(answer)]),
      ),
      ...Object.fromEntries(
        errors.map(status => [status, { $ref: `#/components/responses/${errorName(status)}` }]),
      ),
    },
  }
}

export function errorName(status: number): string {
  return `Error${status}`
}

/** A request body or an answer of a JSON schema. */
export function jsonContent(schema: TSchema) {
  return { 'application/json': { schema: plain(schema) } }
}

/** A TypeBox schema (or anything that contains some) in the dialect of OpenAPI 3.0. */
export function plain(schema: TSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) =>
    isObject(value) ? dialect(value) : value,
  )
}

/** JSON Schema has `examples`, `const` and a type null; OpenAPI 3.0 has `example`, `enum` and `nullable`. */
function dialect(value: Record<string, unknown>): Record<string, unknown> {
  const { examples, anyOf, ...rest } = value
  if (value[KNOWN_ONLY]) {
    return {
      ...dialect({ ...value, [KNOWN_ONLY]: undefined, additionalProperties: undefined }),
      additionalProperties: false,
    }
  }
  // Elysia adds it to schemas it has compiled; of all others unknown fields are ignored, not refused.
  if (value.additionalProperties === false) return dialect({ ...value, additionalProperties: undefined })
  if (isObject(value.patternProperties)) {
    const [additionalProperties] = Object.values(value.patternProperties)
    return dialect({ ...value, patternProperties: undefined, additionalProperties })
  }
  if (Array.isArray(examples)) return dialect({ ...value, examples: undefined, example: examples[0] })
  if (isObject(value[AS_INTEGER])) return { type: 'integer', ...value[AS_INTEGER] }
  if (isObject(value[AS_TEXTS])) return { type: 'object', ...value[AS_TEXTS] }
  if ('const' in value) return { type: typeof value.const, enum: [value.const] }
  if (!Array.isArray(anyOf)) return value
  const options = anyOf.filter(option => option.type !== 'null')
  const nullable = options.length < anyOf.length ? { nullable: true } : {}
  if (options.length === 1) return { ...options[0], ...rest, ...nullable }
  if (options.every(option => Array.isArray(option.enum))) {
    return { type: 'string', enum: options.flatMap(option => option.enum), ...rest, ...nullable }
  }
  return { anyOf: options, ...rest, ...nullable }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function answerOf({ description, schema, contentType = 'application/json' }: Answer) {
  return { description, ...(schema ? { content: { [contentType]: { schema: plain(schema) } } } : {}) }
}
