/** The OpenAPI document and the page that shows it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import { STORED_EVENT_NAMES } from '../../src/domain/states.ts'
import { STATUS_OF } from '../../src/http/error-answers.ts'
import { type OpenApiDocument, openApiDocument } from '../../src/http/openapi/document.ts'
import { printedDocument } from '../../src/http/openapi/print.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let document: OpenApiDocument
beforeAll(async () => {
  app = await testHttp()
  document = await openApiDocument('0.0.0-test')
})
afterAll(() => app.destroy())

test('openapi.json is what the code says (else: bun src/http/openapi/print.ts > openapi.json)', async () => {
  expect(await Bun.file('openapi.json').text()).toBe(await printedDocument())
})

test('/docs/json is that document', async () => {
  const { status, body } = await app.call('GET', '/docs/json')
  expect([status, body]).toEqual([200, JSON.parse(JSON.stringify(document))])
})

/** Answers to another method than a call's own, and to another host: no call has them. */
const OF_NO_CALL = ['method_not_allowed', 'misdirected_request']

describe('the document', () => {
  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        name: `${method} ${path}`,
        method,
        operation,
      })),
    )

  test('has every call of the contract', () => {
    expect(
      operations()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      'delete /api/v1/chats/{chat_id}',
      'delete /api/v1/credentials/{client_id}',
      'delete /api/v1/devices',
      'delete /api/v1/devices/links/{id}',
      'delete /api/v1/devices/{device_id}',
      'delete /api/v1/messages/{id}',
      'delete /api/v1/messages/{id}/reaction',
      'delete /api/v1/tokens/{id}',
      'delete /api/v1/webhooks/{id}',
      'get /api/v1/actions/{id}',
      'get /api/v1/avatars/{id}',
      'get /api/v1/chats',
      'get /api/v1/chats/{chat_id}',
      'get /api/v1/chats/{chat_id}/members',
      'get /api/v1/chats/{chat_id}/messages',
      'get /api/v1/credentials',
      'get /api/v1/deliveries/{id}',
      'get /api/v1/devices',
      'get /api/v1/devices/links/{id}',
      'get /api/v1/devices/links/{id}/qr',
      'get /api/v1/devices/qr-code',
      'get /api/v1/devices/{device_id}',
      'get /api/v1/devices/{device_id}/contacts',
      'get /api/v1/devices/{device_id}/contacts/{identifier}',
      'get /api/v1/devices/{device_id}/groups',
      'get /api/v1/events',
      'get /api/v1/media/{id}',
      'get /api/v1/messages',
      'get /api/v1/messages/search',
      'get /api/v1/messages/{id}',
      'get /api/v1/platforms',
      'get /api/v1/tokens',
      'get /api/v1/webhooks',
      'get /api/v1/webhooks/{id}',
      'get /api/v1/webhooks/{id}/deliveries',
      'get /health',
      'get /metrics',
      'get /ready',
      'patch /api/v1/chats/{chat_id}',
      'patch /api/v1/chats/{chat_id}/members',
      'patch /api/v1/devices/{device_id}',
      'patch /api/v1/messages/{id}',
      'post /api/v1/chats/{chat_id}/backfill',
      'post /api/v1/chats/{chat_id}/block',
      'post /api/v1/chats/{chat_id}/leave',
      'post /api/v1/chats/{chat_id}/read',
      'post /api/v1/chats/{chat_id}/typing',
      'post /api/v1/credentials',
      'post /api/v1/deliveries/{id}/retry',
      'post /api/v1/devices',
      'post /api/v1/devices/links/{id}',
      'post /api/v1/devices/{device_id}/contacts/check',
      'post /api/v1/devices/{device_id}/groups',
      'post /api/v1/devices/{device_id}/groups/join',
      'post /api/v1/devices/{device_id}/message',
      'post /api/v1/messages/{id}/forward',
      'post /api/v1/messages/{id}/unsend',
      'post /api/v1/tokens',
      'post /api/v1/webhooks',
      'post /api/v1/webhooks/{id}/replay',
      'post /api/v1/webhooks/{id}/rotate-secret',
      'post /api/v1/webhooks/{id}/test',
      'put /api/v1/credentials/{client_id}',
      'put /api/v1/messages/{id}/reaction',
      'put /api/v1/messages/{id}/vote',
      'put /api/v1/webhooks/{id}',
    ])
  })

  test('says what each call does, takes and answers', () => {
    for (const { name, method, operation } of operations()) {
      expect(operation.summary, name).toBeString()
      expect(operation.tags, name).toHaveLength(1)
      expect(operation.security, name).toBeArray()
      expect(operation.responses['500'], name).toBeDefined()
      if (operation.security?.length) {
        expect(operation.responses['401'], name).toBeDefined()
        expect(operation.responses['403'], name).toBeDefined()
      }
      if (method === 'post' || method === 'put') expect(operation.requestBody, name).toBeDefined()
      if (operation.requestBody) {
        expect(operation.responses['413'], name).toBeDefined()
        expect(operation.responses['415'], name).toBeDefined()
      }
      for (const content of Object.values(operation.requestBody?.content ?? {})) {
        expect(resolved(content.schema).type, name).toBe('object')
      }
      for (const [parameter] of name.matchAll(/(?<=\{)\w+(?=\})/g)) {
        expect(
          operation.parameters?.map(({ name }) => name),
          name,
        ).toContain(parameter)
      }
    }
  })

  test('has both bodies of what takes files, and JSON alone elsewhere', () => {
    for (const { name, operation } of operations()) {
      const types = Object.keys(operation.requestBody?.content ?? {})
      if (name.endsWith('/message') || name === 'patch /api/v1/chats/{chat_id}')
        expect(types).toEqual(['application/json', 'multipart/form-data'])
      else if (operation.requestBody) expect(types, name).toEqual(['application/json'])
    }
    const { SendMessageForm, ChatChangeForm } = document.components.schemas
    for (const form of [SendMessageForm, ChatChangeForm])
      expect(JSON.stringify(form)).toContain('"format":"binary"')
  })

  test('is OpenAPI 3.0: no JSON Schema beyond it, and every reference leads somewhere', () => {
    const text = JSON.stringify(document)
    expect(text).not.toMatch(/"const":|"examples":\[|"type":"null"|"patternProperties"|"x-(?!webhooks)/)
    for (const [, section, name] of text.matchAll(/"#\/components\/(\w+)\/(\w+)"/g)) {
      const components: Record<string, Record<string, unknown>> = document.components
      expect(components[section ?? '']?.[name ?? ''], `${section}/${name}`).toBeDefined()
    }
    expect(Object.keys(document.components.securitySchemes)).toEqual(['basicAuth', 'bearerAuth'])
  })
})

/** A schema, or the one that it refers to. */
function resolved(schema: Schema): Schema {
  const name = schema.$ref?.split('/').at(-1)
  return name === undefined ? schema : (document.components.schemas[name] as Schema)
}

interface Schema {
  $ref?: string
  type?: string
  format?: string
  example?: unknown
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  allOf?: Schema[]
  enum?: string[]
}

/** True when the page shows more of it than a mere "string". */
function isShown(schema: Schema): boolean {
  const { type, format, example, properties, items, anyOf } = resolved(schema)
  if (example !== undefined || format === 'binary' || type === 'boolean') return true
  if (items) return isShown(items)
  return anyOf ? anyOf.every(isShown) : type === 'object' && Object.values(properties ?? {}).every(isShown)
}

describe('for generated clients', () => {
  const operations = () => Object.values(document.paths).flatMap(methods => Object.values(methods))

  test('each call has a name of its own, a verb and a noun', () => {
    const ids = operations().map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids)
      expect(id).toMatch(
        /^(add|answer|block|cancel|check|create|delete|download|edit|fetch|forward|get|join|leave|list|mark|react|read|remove|replay|retry|rotate|search|send|set|test|unsend|update|vote|watch)[A-Z]\w+$/,
      )
  })

  test('each body has a schema with a name, or is a list of such', () => {
    for (const { operationId, requestBody, responses } of operations()) {
      const bodies = [requestBody, ...Object.values(responses)].map(
        body => body?.content?.['application/json'] as { schema: Schema } | undefined,
      )
      for (const { schema } of bodies.filter(body => body !== undefined)) {
        const either = schema.anyOf ?? [schema]
        for (const one of either) expect((one.items ?? one).$ref, operationId).toBeString()
      }
    }
  })

  test('a body with nothing that has to be said may be left out', () => {
    for (const { operationId, requestBody } of operations()) {
      if (!requestBody) continue
      const [content] = Object.values(requestBody.content)
      const { required = [] } = resolved(content?.schema ?? {})
      expect([operationId, requestBody.required]).toEqual([operationId, required.length > 0])
    }
  })
})

test('each event has a schema of its own that names it', () => {
  const requests = Object.entries(document['x-webhooks'])
  expect(requests.map(([name]) => name)).toEqual([...STORED_EVENT_NAMES])
  const schemas = requests.map(([, { post }]) => post.requestBody?.content['application/json']?.schema.$ref)
  expect(new Set(schemas).size).toBe(requests.length)
  for (const [name, { post }] of requests) {
    const schema = post.requestBody?.content['application/json']?.schema as Schema
    const { allOf = [], ...own } = resolved(schema)
    const [event] = [own, ...allOf].map(each => each.properties?.event?.enum).filter(names => names)
    expect([name, event]).toEqual([name, [name]])
  }
})

describe('examples', () => {
  const ajv = addFormats(new Ajv({ strict: false }))
  ajv.addFormat('binary', true)

  test('each body has one, so that the page fills in no "string"', () => {
    for (const methods of Object.values(document.paths)) {
      for (const { operationId, requestBody, responses, parameters = [] } of Object.values(methods)) {
        const contents = [requestBody, ...Object.values(responses)].flatMap(body =>
          Object.values((body?.content ?? {}) as Record<string, { schema: Schema }>),
        )
        for (const { schema } of contents) expect([operationId, schema, isShown(schema)]).toContain(true)
        for (const { name, ...parameter } of parameters)
          if (name === 'Idempotency-Key') expect(JSON.stringify(parameter)).not.toMatch(/"(example|default)"/)
      }
    }
  })

  test('each is as its schema says', () => {
    ajv.addSchema(document, 'document')
    for (const [name, schema] of Object.entries(document.components.schemas as Record<string, Schema>)) {
      const valid = ajv.compile({ $ref: `document#/components/schemas/${name}` })
      if (schema.example !== undefined)
        expect([name, valid(schema.example), valid.errors]).toEqual([name, true, null])
    }
  })

  test('objects in a form have one, written as JSON, that their schema takes', () => {
    const schemas = document.components.schemas as Record<string, Schema>
    for (const name of ['location', 'contact_card', 'poll', 'metadata']) {
      const field = schemas.SendMessageForm?.properties?.[name] as { description?: string } | undefined
      const written = /`(\{.+\})`/.exec(field?.description ?? '')?.[1] ?? ''
      const valid = ajv.compile({ $ref: `document#/components/schemas/SendMessage/properties/${name}` })
      expect([name, valid(JSON.parse(written)), valid.errors]).toEqual([name, true, null])
    }
  })

  test('a time that has to be ahead stays ahead', () => {
    const { example } = document.components.schemas.CreateToken as { example: { expires_at: string } }
    expect(new Date(example.expires_at).getFullYear()).toBeGreaterThan(2090)
  })

  test('a parameter that a call needs and nobody can guess has one, or comes with an address', () => {
    const needed = Object.values(document.paths)
      .flatMap(methods => Object.values(methods))
      .flatMap(
        ({ parameters = [] }) =>
          parameters as { name: string; in: string; required?: boolean; example?: unknown }[],
      )
      .filter(parameter => parameter.in === 'query' && parameter.required && !parameter.example)
    expect([...new Set(needed.map(({ name }) => name))]).toEqual(['expires', 'signature'])
  })

  test('each error code has one, at its status', () => {
    const valid = ajv.compile({ $ref: 'document#/components/schemas/ErrorBody' })
    const shown = Object.entries(document.components.responses).flatMap(([name, response]) => {
      const { examples } = (response as { content: Record<string, { examples: Record<string, unknown> }> })
        .content['application/json'] ?? { examples: {} }
      return Object.entries(examples as Record<string, { value: { code: string } }>).map(
        ([code, { value }]) => {
          expect([code, valid(value), valid.errors, value.code]).toEqual([code, true, null, code])
          return [code, name]
        },
      )
    })
    expect(Object.fromEntries(shown)).toEqual(
      Object.fromEntries(
        Object.entries(STATUS_OF)
          .filter(([code]) => !OF_NO_CALL.includes(code))
          .map(([code, status]) => [code, `Error${status}`]),
      ),
    )
  })
})

describe('the page', () => {
  test('/docs leads to it', async () => {
    const answer = await app.call('GET', '/docs')
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs/index.html'])
  })

  test('everything it needs comes from here, and no script stands in it', async () => {
    const page = await app.call('GET', '/docs/index.html')
    expect(page.headers.get('content-type')).toStartWith('text/html')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(page.text).not.toMatch(/https?:\/\//)
    expect(page.text).not.toMatch(/<script>/)
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '')
    expect(assets).toHaveLength(4)
    for (const asset of assets) expect((await app.call('GET', asset)).status, asset).toBe(200)
  })
})
