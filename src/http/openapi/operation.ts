/** Writes a route's entry in the OpenAPI document: what it says, what it answers, and with which errors. */
import type { DocumentDecoration, TSchema } from 'elysia'
import type { ErrorStatus } from '../errors.ts'
import { AS_INTEGER, AS_TEXTS, KNOWN_ONLY } from '../schemas.ts'
import { errorReference } from './errors.ts'

type Security = 'basicAuth' | 'bearerAuth' | 'none'

export interface OperationText {
  /** Verb and noun, for generated clients. It does not change. */
  id: string
  summary: string
  description?: string
  tag: Tag
  security: Security
  /** Answers that are not errors, by status. */
  answers: Record<number, Answer>
  /** Statuses of the errors it can answer with; what any call can be answered goes without saying. */
  errors: readonly ErrorStatus[]
}

interface Answer {
  description: string
  schema?: TSchema
  /** In place of the schema's. */
  example?: unknown
  contentType?: string
  /** Contents of other types. */
  also?: Record<string, TSchema>
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

/** @returns what Elysia takes as `detail` */
export function operation(text: OperationText): DocumentDecoration {
  // An address that isn't UTF-8, a defect, a gateway that is stopping; and too many failures where one authenticates.
  const common = [400, ...(text.security === 'none' ? [] : [429 as const]), 500, 503] as const
  const errors = [...new Set([...text.errors, ...common])]
    .filter(status => text.answers[status] === undefined)
    .sort((a, b) => a - b)
  return {
    operationId: text.id,
    summary: text.summary,
    ...(text.description === undefined ? {} : { description: text.description }),
    tags: [text.tag],
    security: text.security === 'none' ? [] : [{ [text.security]: [] }],
    responses: {
      ...Object.fromEntries(
        Object.entries(text.answers).map(([status, answer]) => [status, answerOf(answer)]),
      ),
      ...Object.fromEntries(errors.map(status => [status, errorReference(status)])),
    },
  }
}

/** A request body or an answer of a JSON schema. */
export function jsonContent(schema: TSchema) {
  return { 'application/json': { schema: plain(schema) } }
}

/** A TypeBox schema (or anything that contains some) in the dialect of OpenAPI 3.0. */
export function plain(schema: object): Record<string, unknown> {
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
  const either = { ...oneOfThem(options), ...rest }
  return options.length < anyOf.length ? nullable(either) : either
}

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

function answerOf({ description, schema, example, contentType = 'application/json', also = {} }: Answer) {
  if (!schema) return { description }
  const content = Object.entries({ [contentType]: schema, ...also })
  return {
    description,
    content: Object.fromEntries(content.map(([type, of]) => [type, { schema: plain(of), example }])),
  }
}
