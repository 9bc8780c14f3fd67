/**
 * Unknown fields and parameters: refused on newer calls and when misspelt, ignored where the
 * documented system ignores them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApiDocument } from '../../src/http/openapi/document.ts'
import { expectError } from '../support/expect-error.ts'
import { expectShortTurns } from '../support/longest-turn.ts'
import { basic, testHttp } from '../support/test-http.ts'

const SEND = '/api/v1/devices/237123456789/message'
const MESSAGE = { contact: '1234567890', platform: 'wa', text: 'Hello' }

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
})
afterAll(() => app.destroy())

function form(fields: Record<string, string>): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.append(name, value)
  return data
}

describe('calls of the usage guide', () => {
  test.each([
    ['expiresin', 'expires_at'],
    ['expires_in', 'expires_at'],
    ['expiresAt', 'expires_at'],
    ['expire_at', 'expires_at'],
    ['expiry', 'expires_at'],
    ['useHost', 'use_host'],
    ['use_hots', 'use_host'],
  ])('refuse %s, which is %s misspelt, and make no token', async (field, meant) => {
    const before = (await app.call('GET', '/api/v1/tokens', { auth: basic() })).text
    const json = { [field]: '2099-12-31T23:59:59Z' }
    const answer = await app.call('POST', '/api/v1/tokens', { auth: basic(), json })
    expectError(answer, 400, 'bad_request', `${field}: there is no such field; did you mean ${meant}?`)
    expect((await app.call('GET', '/api/v1/tokens', { auth: basic() })).text).toBe(before)
  })

  test('ignore what else a client sends, as ever', async () => {
    const extra = { id: 7, name: 'x', foo: { bar: 1 }, created_at: '2026-04-27T10:00:00Z', x: 1 }
    const asked: [string, string, string, object][] = [
      ['POST', '/api/v1/tokens', basic(), {}],
      ['POST', '/api/v1/credentials', basic(), { client_id: 'extra-app' }],
      ['PUT', '/api/v1/credentials/extra-app', basic(), { description: 'd', client_id: 'extra-app' }],
      ['POST', '/api/v1/devices', auth, { platform: 'wa' }],
      ['POST', SEND, auth, MESSAGE],
      ['POST', '/api/v1/webhooks', auth, { url: 'https://extra.example.com/' }],
      ['PUT', '/api/v1/webhooks/1', auth, { active: true, old_secret_until: null, secret: 'whsec_x' }],
    ]
    for (const [method, path, who, json] of asked) {
      const answer = await app.call(method, path, { auth: who, json: { ...json, ...extra } })
      expect([path, answer.status < 300]).toEqual([path, true])
    }
    expect((await app.call('GET', '/api/v1/devices?_=1&page=2', { auth })).status).toBe(200)
  })

  test('a send: the misspelt field is named in JSON and in forms, and nothing is sent', async () => {
    const before = app.sends.length
    const fields = { ...MESSAGE, expiresin: '60' }
    const says = 'expiresin: there is no such field; did you mean expires_in?'
    expectError(await app.call('POST', SEND, { auth, json: fields }), 400, 'bad_request', says)
    expectError(await app.call('POST', SEND, { auth, body: form(fields) }), 400, 'bad_request', says)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams(fields).toString()
    expectError(await app.call('POST', SEND, { auth, headers, body }), 400, 'bad_request', says)
    expect(app.sends.length).toBe(before)
    const other = form({ ...MESSAGE, campaign: 'spring' })
    expect((await app.call('POST', SEND, { auth, body: other })).status).toBe(200)
  })

  test.each([
    ['reply_di', 'reply_id'],
    ['txet', 'text'],
    ['txt', 'text'],
    ['message', 'text'],
    ['caption', 'text'],
    ['reply_to', 'reply_id'],
    ['in_reply_to', 'reply_id'],
    ['quotedMessageId', 'reply_id'],
    ['ttl', 'expires_in'],
    ['to', 'contact'],
    ['jid', 'contact'],
    ['chatId', 'chat_id'],
    ['media_url', 'file'],
    ['url', 'file'],
    ['Attachment', 'file'],
  ])('a send with %s and no %s is refused', async (field, meant) => {
    const before = app.sends.length
    const { [meant]: _left, ...rest }: Record<string, string> = MESSAGE
    const fields = { ...rest, [field]: 'x' }
    const says = `${field}: there is no such field; did you mean ${meant}?`
    expectError(await app.call('POST', SEND, { auth, json: fields }), 400, 'bad_request', says)
    expectError(await app.call('POST', SEND, { auth, body: form(fields) }), 400, 'bad_request', says)
    expect(app.sends.length).toBe(before)
  })

  test.each(['message', 'to', 'phone'])('a send with %s beside our own field is sent', async field => {
    const json = { ...MESSAGE, [field]: 'x' }
    expect((await app.call('POST', SEND, { auth, json })).status).toBe(200)
  })

  test('a send without one of its fields names what was meant for it', async () => {
    for (const name of ['Platform', 'plattform', 'network']) {
      const json = { contact: '1234567890', text: 'Hello', [name]: 'wa' }
      const answer = await app.call('POST', SEND, { auth, json })
      expectError(answer, 400, 'bad_request', `${name}: there is no such field; did you mean platform?`)
    }
    const json = { ...MESSAGE, reply_to: null }
    expect((await app.call('POST', SEND, { auth, json })).status).toBe(200)
  })

  test('a misspelt active leaves a webhook as it is', async () => {
    const { body } = await app.call('POST', '/api/v1/webhooks', { auth, json: { url: 'https://on.example' } })
    const path = `/api/v1/webhooks/${body.id}`
    const answer = await app.call('PUT', path, { auth, json: { actvie: false } })
    expectError(answer, 400, 'bad_request', 'did you mean active?')
    expect((await app.call('GET', path, { auth })).body.active).toBe(true)
  })

  test.each([
    ['event', 'events'],
    ['header', 'headers'],
    ['evnets', 'events'],
    ['ulr', 'url'],
    ['actvie', 'active'],
    ['enabled', 'active'],
    ['event_types', 'events'],
  ])('a webhook with %s is refused', async (field, meant) => {
    const json = { url: 'https://misspelt.example.com/', [field]: [] }
    const answer = await app.call('POST', '/api/v1/webhooks', { auth, json })
    expectError(answer, 400, 'bad_request', `did you mean ${meant}?`)
  })
})

describe('calls of our own', () => {
  test.each([
    ['/api/v1/messages?limt=5', 'limt: there is no such parameter; did you mean limit?'],
    ['/api/v1/messages?status=failed', 'status: there is no such parameter: expected limit, before'],
    ['/api/v1/events?form=now', 'form: there is no such parameter'],
    ['/api/v1/webhooks/1/deliveries?state=dead', 'state: there is no such parameter'],
    ['/api/v1/devices/237123456789/contacts?q=Ann', 'q: there is no such parameter'],
    ['/api/v1/devices/237123456789/groups?plattform=wa', 'did you mean platform?'],
  ])('refuse %s', async (path, says) => {
    expectError(await app.call('GET', path, { auth }), 400, 'bad_request', says)
  })

  test.each([
    ['/api/v1/webhooks/1/replay', { since: '2026-04-27T10:00:00Z', till: '2026-04-28T10:00:00Z' }, 'till'],
    ['/api/v1/webhooks/1/rotate-secret', { overlap: 0 }, 'overlap'],
    ['/api/v1/webhooks/1/test', { event: 'message.received' }, 'event'],
    ['/api/v1/devices/links/lnk_1', { inputs: {}, code: '1' }, 'code'],
  ])('refuse fields of %s', async (path, json, field) => {
    expectError(
      await app.call('POST', path, { auth, json }),
      400,
      'bad_request',
      `${field}: there is no such field`,
    )
  })

  test('tell a stranger nothing of that', async () => {
    expectError(await app.call('GET', '/api/v1/messages?limt=5'), 401, 'unauthorized')
  })
})

test('every list of our own takes the same limit', async () => {
  const { paths } = await openApiDocument('0.0.0')
  const limits = Object.entries(paths).flatMap(([path, operations]) =>
    (operations.get?.parameters ?? [])
      .filter(({ name }) => name === 'limit')
      .map(({ schema }) => [path, schema.minimum, schema.maximum, schema.default]),
  )
  expect(limits.length).toBe(8)
  for (const [, ...limit] of limits) expect(limit).toEqual([1, 1_000, 100])
})

describe('very many of them', () => {
  const names = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, '1']))
  const says = (what: string) => new RegExp(`There are 1\\d\\d ${what}s: expected at most 100`)

  test.each<[string, string, () => string, object]>([
    ['POST', '/api/v1/tokens', () => basic(), {}],
    ['POST', '/api/v1/devices', () => auth, { platform: 'wa' }],
    ['POST', SEND, () => auth, MESSAGE],
    ['POST', '/api/v1/webhooks/1/replay', () => auth, { since: '2026-01-01T00:00:00Z' }],
  ])('are refused before any is compared: %s %s', async (method, path, who, json) => {
    const few = await app.call(method, path, { auth: who(), json: { ...json, ...names(90) } })
    expect(few.body.error ?? '').not.toMatch(/^There are/)
    const many = await app.call(method, path, { auth: who(), json: { ...json, ...names(101) } })
    expect([many.status, many.body.error]).toEqual([400, expect.stringMatching(says('field'))])
  })

  test('in a URL-encoded form and in the query, too', async () => {
    const body = new URLSearchParams({ ...MESSAGE, ...names(101) }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const sent = await app.call('POST', SEND, { auth, headers, body })
    expect([sent.status, sent.body.error]).toEqual([400, expect.stringMatching(says('field'))])
    const hidden = await app.call('POST', SEND, { auth, headers, body: `${'&'.repeat(2_000)}${body}` })
    expect(hidden.body.error).toBe('There are 1000 fields: expected at most 100')
    const asked = await app.call('GET', `/api/v1/messages?${new URLSearchParams(names(101))}`, { auth })
    expect([asked.status, asked.body.error]).toEqual([400, expect.stringMatching(says('parameter'))])
  })

  test('a megabyte of them, however it is made, holds the event loop no longer than any request may', async () => {
    const unknown = Array.from({ length: 40_000 }, (_, index) => `"unknown_name_${index}":1`).join(',')
    const empties = Array.from({ length: 300_000 }, () => '{}').join(',')
    for (const fields of [unknown, `"contact":[${empties}]`])
      await expectShortTurnsOf('application/json', `{"platform":"wa","text":"x",${fields}}`)
  })

  test('neither does a megabyte of escapes in a form', async () => {
    for (const text of ['%41'.repeat(340_000), '+'.repeat(1_000_000)])
      await expectShortTurnsOf('application/x-www-form-urlencoded', `platform=wa&text=${text}`)
  })

  async function expectShortTurnsOf(type: string, body: string): Promise<void> {
    await expectShortTurns(async () => {
      const headers = { authorization: auth, 'content-type': type }
      const request = new Request(`http://localhost${SEND}`, { method: 'POST', headers, body })
      await (await app.http.handle(request)).arrayBuffer()
    })
  }
})
