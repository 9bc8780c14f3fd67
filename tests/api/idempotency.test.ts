/** The Idempotency-Key header: on every write, for as long as it is said, and nobody else's. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { idempotencyKeys } from '../../src/db/schema/index.ts'
import { GatewayError } from '../../src/domain/errors.ts'
import { openApiDocument } from '../../src/http/openapi/document.ts'
import { expectError } from '../support/expect-error.ts'
import { basic, type CallOptions, testHttp } from '../support/test-http.ts'

const SEND = '/api/v1/devices/237123456789/message'
const MESSAGE = { contact: '1234567890', platform: 'wa', text: 'Hello' }
const DAY_MS = 24 * 3_600_000

let app: Awaited<ReturnType<typeof testHttp>>
let token: string
let auth: string
let keys = 0
const newKey = () => `key-${++keys}`
beforeAll(async () => {
  app = await testHttp()
  token = await app.newToken()
  auth = `Bearer ${token}`
})
afterAll(() => app.destroy())

const post = (path: string, key: string, options: CallOptions = {}) =>
  app.call('POST', path, { auth, ...options, headers: { ...options.headers, 'idempotency-key': key } })
const send = (key: string, options: CallOptions = {}) => post(SEND, key, { json: MESSAGE, ...options })

function form(text: string, content: string, name = 'a.pdf'): FormData {
  const data = new FormData()
  for (const [field, value] of Object.entries({ ...MESSAGE, text })) data.append(field, value)
  data.append('file', new File([content], name, { type: 'application/pdf' }))
  return data
}

describe('a send', () => {
  test('again: the first answer, and nothing is sent twice', async () => {
    const key = newKey()
    const first = await send(key)
    const before = app.sends.length
    const again = await send(key)
    expect([again.status, again.text]).toEqual([200, first.text])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type') ?? '')
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
    expect(first.headers.has('idempotency-replayed')).toBe(false)
    expect(app.sends.length).toBe(before)
  })

  test('without a key, or with another one, is another send', async () => {
    const before = app.sends.length
    await send(newKey())
    await send(newKey())
    await app.call('POST', SEND, { auth, json: MESSAGE })
    expect(app.sends.length).toBe(before + 3)
  })

  test('with another body or to another path: 422', async () => {
    const key = newKey()
    await send(key)
    const says = 'Idempotency-Key: stands for another request already'
    expectError(await send(key, { json: { ...MESSAGE, text: 'Bye' } }), 422, 'unprocessable', says)
    expectError(
      await post('/api/v1/devices/+237123456789/message', key, { json: MESSAGE }),
      422,
      'unprocessable',
      says,
    )
  })

  test('the order of fields, white space and nulls make no other body', async () => {
    const key = newKey()
    const first = await send(key)
    const body = `{ "text": "Hello",\n "reply_id": null, "platform": "wa", "contact": "1234567890" }`
    const again = await send(key, {
      json: undefined,
      body,
      headers: { 'content-type': 'application/json' },
    } as CallOptions)
    expect([again.status, again.text]).toEqual([200, first.text])
  })

  test('with a file: the same file again is the same send, whatever the form’s boundary; no upload stays behind', async () => {
    const key = newKey()
    const first = await post(SEND, key, { body: form('see', 'content') })
    expect(first.status).toBe(200)
    const before = app.sends.length
    expect((await post(SEND, key, { body: form('see', 'content') })).text).toBe(first.text)
    for (const other of [form('see', 'c0ntent'), form('look', 'content'), form('see', 'content', 'b.pdf')])
      expectError(await post(SEND, key, { body: other }), 422, 'unprocessable')
    expect(app.sends.length).toBe(before)
    expect([...app.onDisk]).toEqual([])
  })

  test('of several at once one is done, and all get its answer', async () => {
    const key = newKey()
    const before = app.sends.length
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(key)))
    expect(new Set(answers.map(answer => answer.text)).size).toBe(1)
    expect(answers.filter(answer => !answer.headers.has('idempotency-replayed')).length).toBe(1)
    expect(app.sends.length).toBe(before + 1)
  })

  test('a refusal that is final is the answer again; one that passes is not', async () => {
    const final = newKey()
    app.failures.accept = new GatewayError('bad_request', 'no such recipient')
    expectError(await send(final), 400, 'bad_request', 'no such recipient')
    const passing = newKey()
    for (const code of [
      'too_many_requests',
      'storage_full',
      'shutting_down',
      'forbidden',
      // A device that was logged out can be linked again.
      'conflict',
      'not_found',
    ] as const) {
      app.failures.accept = new GatewayError(code, 'later')
      expect((await send(passing)).body.code).toBe(code)
    }
    app.failures.accept = undefined
    expect((await send(final)).body.code).toBe('bad_request')
    expect((await send(passing)).status).toBe(200)
  })

  test('whose device is gone since: the first answer, whatever it came as', async () => {
    const urlEncoded: CallOptions = {
      body: new URLSearchParams(MESSAGE).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }
    const { devices } = app.services
    const { find } = devices
    for (const options of [{ json: MESSAGE }, { body: form('Hello', 'content') }, urlEncoded]) {
      const key = newKey()
      const first = await post(SEND, key, options)
      expect(first.status).toBe(200)
      devices.find = async () => null
      const again = await post(SEND, key, options).finally(() => {
        devices.find = find
      })
      expect([again.status, again.text]).toEqual([200, first.text])
      expect(again.headers.get('idempotency-replayed')).toBe('true')
    }
    const nowhere = '/api/v1/devices/1/message'
    expectError(await post(nowhere, newKey(), { body: form('Hello', 'content') }), 404, 'not_found')
    expect(app.onDisk.size).toBe(0)
  })

  test('a malformed body is not remembered', async () => {
    const key = newKey()
    expectError(await send(key, { json: { ...MESSAGE, platform: 5 } }), 400, 'bad_request')
    expect((await send(key)).status).toBe(200)
  })

  test('may be repeated with another token of the identity, not by another identity', async () => {
    const key = newKey()
    const host = `Bearer ${await app.newToken(true)}`
    const first = await send(key)
    expect((await send(key, { auth: host })).text).toBe(first.text)
    const stranger = `Bearer ${await app.newToken()}`
    const theirs = await send(key, { auth: stranger })
    expect(theirs.headers.has('idempotency-replayed')).toBe(false)
    expect(theirs.text).not.toBe(first.text)
  })

  test('after a day the key is as good as new', async () => {
    const key = newKey()
    const first = await send(key)
    await app.clock.advance(DAY_MS - 1_000)
    expect((await send(key)).text).toBe(first.text)
    await app.clock.advance(2_000)
    expect((await send(key, { json: { ...MESSAGE, text: 'Bye' } })).headers.has('idempotency-replayed')).toBe(
      false,
    )
  })
})

describe('other calls', () => {
  test('a token is made once, and shown again to its credential alone', async () => {
    const key = newKey()
    const first = await post('/api/v1/tokens', key, { auth: basic(), json: { use_host: false } })
    const again = await post('/api/v1/tokens', key, { auth: basic(), json: { use_host: false } })
    expect([again.status, again.text]).toEqual([201, first.text])
    const made = { client_id: 'other-app', scopes: ['tokens:write:create'] }
    const { body } = await app.call('POST', '/api/v1/credentials', { auth: basic(), json: made })
    const other = basic('other-app', String(body.client_secret))
    const theirs = await post('/api/v1/tokens', key, { auth: other, json: { use_host: false } })
    expect([theirs.status, theirs.headers.has('idempotency-replayed')]).toEqual([201, false])
    expect(theirs.body.token).not.toBe(first.body.token)
  })

  test('a credential’s secret is shown again; a credential of the same name made later sees nothing of it', async () => {
    const key = newKey()
    const json = { client_id: 'my-app', scopes: ['credentials:write:*', 'tokens:write:create'] }
    const first = await post('/api/v1/credentials', key, { auth: basic(), json })
    expect((await post('/api/v1/credentials', key, { auth: basic(), json })).text).toBe(first.text)
    const own = basic('my-app', String(first.body.client_secret))
    const theirs = await post('/api/v1/tokens', 'mine', { auth: own, json: {} })
    expect(theirs.status).toBe(201)
    await app.call('DELETE', '/api/v1/credentials/my-app', { auth: basic() })
    const { body } = await app.call('POST', '/api/v1/credentials', { auth: basic(), json })
    const successor = basic('my-app', String(body.client_secret))
    const fresh = await post('/api/v1/tokens', 'mine', { auth: successor, json: {} })
    expect(fresh.headers.has('idempotency-replayed')).toBe(false)
    expect(fresh.body.token).not.toBe(theirs.body.token)
  })

  test('a token to the host is not shown again to who may no longer make one', async () => {
    const key = newKey()
    const json = { client_id: 'second-admin', role: 'super_admin' }
    const { body } = await app.call('POST', '/api/v1/credentials', { auth: basic(), json })
    const second = { auth: basic('second-admin', String(body.client_secret)), json: { use_host: true } }
    expect((await post('/api/v1/tokens', key, second)).status).toBe(201)
    expect((await post('/api/v1/tokens', key, second)).headers.has('idempotency-replayed')).toBe(true)
    const demotion = { role: 'user', scopes: ['tokens:write:create'] }
    const path = '/api/v1/credentials/second-admin'
    expect((await app.call('PUT', path, { auth: basic(), json: demotion })).status).toBe(200)
    expectError(await post('/api/v1/tokens', key, second), 403, 'forbidden', 'use_host')
  })

  test('a webhook is made once', async () => {
    const key = newKey()
    const json = { url: 'https://example.com/once' }
    const first = await post('/api/v1/webhooks', key, { json })
    expect([first.status, (await post('/api/v1/webhooks', key, { json })).text]).toEqual([201, first.text])
    const rotate = `/api/v1/webhooks/${first.body.id}/rotate-secret`
    const rotated = await post(rotate, 'rotation', { json: {} })
    const again = await post(rotate, 'rotation', { json: {} })
    expect([again.status, again.text]).toEqual([200, rotated.text])
    expect(rotated.body.secret).not.toBe(first.body.secret)
  })

  test('what shows the token of its caller is not shown to another token of the identity', async () => {
    const key = newKey()
    const first = await post('/api/v1/devices', key, { json: { platform: 'wa' } })
    expect(first.text).toContain(token)
    const host = await app.newToken(true)
    const theirs = await post('/api/v1/devices', key, { auth: `Bearer ${host}`, json: { platform: 'wa' } })
    expect(theirs.headers.has('idempotency-replayed')).toBe(false)
    expect(theirs.text).not.toContain(token)
  })

  test('nothing of the answers is in the database in clear', async () => {
    const made = await post('/api/v1/tokens', newKey(), { auth: basic(), json: {} })
    const rows = app.db.orm.select().from(idempotencyKeys).all()
    expect(rows.length).toBeGreaterThan(1)
    expect(JSON.stringify(rows)).not.toContain(String(made.body.token))
    expect(rows.every(row => row.answerSealed?.startsWith('v1.'))).toBe(true)
  })
})

describe('the key', () => {
  test.each([
    '8e03978e-40d5-43e8-bc93-6894a57f9324',
    '"a key of two \\"words\\" and a comma, quoted"',
    'k',
    'k'.repeat(255),
  ])('%p is one', async key => {
    const first = await send(key)
    expect((await send(key)).text).toBe(first.text)
    expect(first.status).toBe(200)
  })

  test('is the same with and without quotes', async () => {
    const key = newKey()
    const first = await send(key)
    expect((await send(`"${key}"`)).text).toBe(first.text)
  })

  test.each(['', ' ', 'two words', 'one, two', '"unclosed', '"bad \\escape"', 'ключ', 'k'.repeat(256), '""'])(
    '%p is refused',
    async key => {
      // A header can't hold it as it is.
      const sent = /^[\x20-\x7e]*$/.test(key) ? key : 'caf\u00e9'
      expectError(await send(sent), 400, 'bad_request', 'Idempotency-Key: expected one key of 1 to 255')
    },
  )

  test('is looked at after the caller', async () => {
    expectError(await send('two words', { auth: 'Bearer mt_unknown' }), 403, 'forbidden')
  })
})

test('every write of the document says so, and refuses a malformed key', async () => {
  const document = await openApiDocument('0.0.0-test')
  const writes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) =>
      method === 'get' ? [] : [{ path, method: method.toUpperCase(), operation }],
    ),
  )
  expect([...new Set(writes.map(({ method }) => method))].toSorted()).toEqual([
    'DELETE',
    'PATCH',
    'POST',
    'PUT',
  ])
  for (const { path, method, operation } of writes) {
    expect([path, operation.parameters?.map(({ name }) => name)]).toEqual([
      path,
      expect.arrayContaining(['Idempotency-Key']),
    ])
    expect([path, Object.keys(operation.responses)]).toEqual([path, expect.arrayContaining(['409', '422'])])
    const isBasic = operation.security?.some(scheme => 'basicAuth' in scheme)
    const answer = await app.call(method, path.replace(/\{\w+\}/g, '1'), {
      auth: isBasic ? basic() : auth,
      json: {},
      headers: { 'idempotency-key': 'two words' },
    })
    expect([path, answer.status, answer.body.error]).toEqual([
      path,
      400,
      expect.stringContaining('Idempotency-Key'),
    ])
  }
})

test('with too many keys a new one is a 429 that says so, for forms too, and nothing is done', async () => {
  const small = await testHttp({ maxKeys: 2 })
  try {
    const own = { auth: `Bearer ${await small.newToken()}` }
    const sendWith = (key: string, options: CallOptions) =>
      small.call('POST', SEND, { ...own, ...options, headers: { 'idempotency-key': key } })
    for (const key of ['one', 'two']) expect((await sendWith(key, { json: MESSAGE })).status).toBe(200)
    const before = small.sends.length
    for (const body of [{ json: MESSAGE }, { body: form('Hello', 'content') }]) {
      const refused = await sendWith('three', body)
      expectError(refused, 429, 'too_many_requests')
      expect(refused.headers.get('retry-after')).toBe('60')
      expect(refused.body.error).toContain('Idempotency-Key')
    }
    expect(small.sends.length).toBe(before)
    const repeat = await sendWith('one', { json: MESSAGE })
    expect([repeat.status, repeat.headers.get('idempotency-replayed')]).toEqual([200, 'true'])
    // The keys of a send are the identity's, those of other calls the token's.
    expect((await small.call('POST', SEND, { ...own, json: MESSAGE })).status).toBe(200)
    const device = await small.call('POST', '/api/v1/devices', {
      ...own,
      json: { platform: 'wa' },
      headers: { 'idempotency-key': 'one' },
    })
    expect(device.status).toBe(201)
  } finally {
    await small.destroy()
  }
})
