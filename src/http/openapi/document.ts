/**
 * Builds the OpenAPI document from the routes, which need no services for it: @elysiajs/swagger
 * puts their entries together, and it is completed here.
 */
import { Elysia } from 'elysia'
import { NAME } from '../../domain/views/schema.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/logger.ts'
import { apiRoutes } from '../routes/index.ts'
import type { HttpServices } from '../services.ts'
import { errorResponses } from './described-errors.ts'
import { eventRequests } from './event-requests.ts'
import { operation, plain } from './operation.ts'
import { TAGS } from './tags.ts'

/** As far as it is looked into here. */
export interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  'x-webhooks': Record<string, { post: Pick<Operation, 'summary' | 'requestBody' | 'responses'> }>
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
* **Bearer** authentication, with a token (\`mt_…\`), is for everything else: devices, messages, chats and webhooks.

Every error has the body \`{"error", "code", "request_id"}\`; the schema ErrorCode lists the codes. Times are RFC 3339 in UTC.`

export async function openApiDocument(version: string): Promise<OpenApiDocument> {
  // The plugin brings a page of its own, with themes: nobody pays for that at the start.
  const { swagger } = await import('@elysiajs/swagger')
  const app = new Elysia().use(
    swagger({
      path: '/docs',
      documentation: {
        info: { title: 'Meshgate', version, description: DESCRIPTION, license: { name: 'MIT' } },
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
  const routes = apiRoutes({
    services: UNUSED_SERVICES,
    publicUrl: undefined,
    tickets: { issue: () => '' },
    version,
    readiness: () => ({ ready: false, checks: {} }),
    metrics: async () => '',
    operators: { mayLook: () => false, admit: () => undefined },
    upgrade: () => false,
    allowsOrigin: () => false,
    uploading: () => undefined,
    clock: systemClock,
    logger: silentLogger,
  })
  // Without their schemas, of which the plugin would guess the rest.
  for (const route of routes) app.route(route.method, route.path, () => '', { detail: operation(route) })
  await app.modules
  const response = await app.handle(new Request('http://localhost/docs/json'))
  return complete((await response.json()) as OpenApiDocument)
}

/** Describing a route calls nothing. */
const UNUSED_SERVICES = {} as HttpServices

/** Adds what the plugin leaves out. */
function complete(document: OpenApiDocument): OpenApiDocument {
  const schemas: Record<string, unknown> = {}
  const { securitySchemes } = document.components
  const paths = JSON.stringify(document.paths)
  const responses = Object.fromEntries(
    Object.entries(plain(errorResponses())).filter(([name]) => paths.includes(`responses/${name}"`)),
  )
  const requests = { 'x-webhooks': plain(eventRequests()) }
  const components = { responses, securitySchemes }
  const moved = namedOnce({ ...document, components, ...requests }, schemas) as OpenApiDocument
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
