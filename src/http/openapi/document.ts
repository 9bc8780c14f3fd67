/** The OpenAPI document: @elysiajs/swagger's, made complete. It is built from the routes themselves, which need no services for it. */
import { Elysia } from 'elysia'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/logger.ts'
import { MAX_KEY_LENGTH } from '../plugins/idempotency.ts'
import { apiRoutes } from '../routes/index.ts'
import { NAME } from '../schemas.ts'
import type { HttpServices } from '../services.ts'
import { errorReference, errorResponses } from './errors.ts'
import { plain, TAGS } from './operation.ts'

/** As far as it is looked into here. */
export interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, unknown>
    responses: Record<string, unknown>
    securitySchemes: Record<string, unknown>
  }
}

interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: { name: string; in: string; required?: boolean; schema: Record<string, unknown> }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Record<string, unknown> }> }
  responses: Record<string, { $ref?: string; description?: string; content?: Record<string, unknown> }>
}

const DESCRIPTION = `One REST API for WhatsApp, Signal, Telegram and any other network that a Matrix bridge reaches.

* **Basic** authentication, with a credential's client id and secret, is for tokens and credentials.
* **Bearer** authentication, with a token (\`mt_…\`), is for devices, messages and webhooks.

Every error has the body \`{"error", "code", "request_id"}\`; the schema ErrorCode lists the codes. Times are RFC 3339 in UTC.`

export async function openApiDocument(version: string): Promise<OpenApiDocument> {
  // The plugin brings a page of its own, with themes: nobody pays for that at the start.
  const { swagger } = await import('@elysiajs/swagger')
  const app = new Elysia()
    .use(
      swagger({
        path: '/docs',
        documentation: {
          info: { title: 'Meshgate', version, description: DESCRIPTION },
          servers: [{ url: '/', description: 'This gateway' }],
          tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
          components: {
            securitySchemes: {
              basicAuth: {
                type: 'http',
                scheme: 'basic',
                description: 'Client id and client secret of a credential.',
              },
              bearerAuth: { type: 'http', scheme: 'bearer', description: 'A token: mt_…' },
            },
          },
        },
      }),
    )
    .use(
      apiRoutes({
        services: UNUSED_SERVICES,
        publicUrl: undefined,
        version,
        readiness: () => ({ ready: false, checks: {} }),
        metrics: async () => '',
        operators: { mayLook: () => false, admit: () => undefined },
        upgrade: () => false,
        allowsOrigin: () => false,
        uploading: () => undefined,
        clock: systemClock,
        logger: silentLogger,
      }),
    )
  await app.modules
  const response = await app.handle(new Request('http://localhost/docs/json'))
  return complete((await response.json()) as OpenApiDocument)
}

/** Describing a route calls nothing. */
const UNUSED_SERVICES = {} as HttpServices

/** Adds what the plugin leaves out, and mends what it guesses. */
function complete(document: OpenApiDocument): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {}
  for (const [path, operations] of Object.entries(document.paths)) {
    paths[path.replace(/(.)\/$/, '$1')] = Object.fromEntries(
      Object.entries(operations).map(([method, operation]) => [method, mended(method, operation)]),
    )
  }
  const schemas: Record<string, unknown> = {}
  const { securitySchemes } = document.components
  const components = { responses: errorResponses(), securitySchemes }
  const moved = namedOnce(plain({ ...document, paths, components }), schemas) as OpenApiDocument
  return { ...moved, components: { ...moved.components, schemas } }
}

/**
 * Moves each schema that has a name to where the document has it once, and refers to it.
 * @throws Error when two schemas have one name
 */
function namedOnce(value: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map(item => namedOnce(item, schemas))
  if (typeof value !== 'object' || value === null) return value
  const { [NAME]: name, ...rest } = value as Record<string, unknown>
  const moved = Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, namedOnce(item, schemas)]))
  if (typeof name !== 'string') return moved
  schemas[name] ??= moved
  if (!Bun.deepEquals(schemas[name], moved)) throw new Error(`two schemas are named ${name}`)
  return { $ref: `#/components/schemas/${name}` }
}

/** What any call that changes something can be answered: the disk is full, or can't be written. */
const OF_STORING = [503, 507] as const

function mended(method: string, operation: Operation): Operation {
  const { requestBody, parameters, responses } = operation
  if (method !== 'get') {
    for (const status of OF_STORING) responses[status] ??= errorReference(status)
  }
  if (parameters?.length === 0) delete operation.parameters
  // The plugin names every type Elysia could parse; forms are described by hand, where they are taken.
  const byHand = requestBody?.content['multipart/form-data']?.schema.properties
  if (requestBody?.content['text/plain'] || !byHand) {
    delete requestBody?.content['multipart/form-data']
    delete requestBody?.content['text/plain']
  }
  // A body with nothing that has to be said may be left out.
  if (requestBody) requestBody.required = Boolean(requestBody.content['application/json']?.schema.required)
  return method === 'post' ? repeatable(operation) : operation
}

/** Every POST takes an Idempotency-Key, and is refused while too many are under way. */
function repeatable(operation: Operation): Operation {
  const answers = Object.entries(operation.responses).map(([status, answer]) => [
    status,
    answer.$ref ? answer : { ...answer, headers: REPLAY_HEADERS },
  ])
  const errors = ([409, 422, 429] as const).map(status => [status, errorReference(status)])
  return {
    ...operation,
    parameters: [...(operation.parameters ?? []), KEY_PARAMETER],
    responses: Object.fromEntries([...answers, ...errors]),
  }
}

const KEY_PARAMETER = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Makes it safe to ask again when no answer came: for 24 hours the same key with the same request gets the first answer and nothing is done twice. With another request it is a 422.',
  // Without an example, which the page would fill in and send with every request.
  schema: { type: 'string', minLength: 1, maxLength: MAX_KEY_LENGTH },
}

const REPLAY_HEADERS = {
  'Idempotency-Replayed': {
    description: '`true` when this is the answer to an earlier request with the same Idempotency-Key.',
    schema: { type: 'string', enum: ['true'] },
  },
}
