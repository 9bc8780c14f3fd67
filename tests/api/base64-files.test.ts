/** A file in the body of a send, as base64. */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { type CallOptions, testHttp } from '../support/test-http.ts'

const SEND = '/api/v1/devices/237123456789/message'
const FIELDS = { contact: '1234567890', platform: 'wa' }

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
beforeAll(async () => {
  app = await testHttp({ maxBytes: 32 * 1024 * 1024 })
  auth = `Bearer ${await app.newToken()}`
})
afterEach(() => expect([...app.onDisk]).toEqual([]))
afterAll(() => app.destroy())

const send = (options: CallOptions) => app.call('POST', SEND, { auth, ...options })

function form(entries: Record<string, string>): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(entries)) data.append(name, value)
  return data
}

const base64 = (bytes: number) => Buffer.alloc(bytes, 'a').toString('base64')
const named = (bytes: number) => ({ ...FIELDS, file_base64: base64(bytes), file_name: 'a.txt' })
/** As HTTP clients send it: with its length. */
const asJson = (fields: object) => ({
  json: fields,
  headers: { 'Content-Length': `${Buffer.byteLength(JSON.stringify(fields))}` },
})

test.each([1, 10_000, 3 * 1024 * 1024])('%d bytes, as JSON and in a form', async bytes => {
  for (const body of [asJson(named(bytes)), { body: form(named(bytes)) }]) {
    expect((await send(body)).status).toBe(200)
    const { files, fileUrl } = app.sends.at(-1) ?? {}
    expect([files?.map(({ fileName, sizeBytes }) => [fileName, sizeBytes]), fileUrl]).toEqual([
      [['a.txt', bytes]],
      undefined,
    ])
  }
})

test('more than 8 MiB: 413 that says how it goes', async () => {
  const says = /^file_base64: expected at most 8388608 bytes: .*`file`.*`file_url`$/
  for (const body of [asJson(named(8_388_609)), { body: form(named(8_388_609)) }])
    expectError(await send(body), 413, 'payload_too_large', says)
  expect((await send(asJson(named(8_388_608)))).status).toBe(200)
})

test('JSON that is long without its file: 413', async () => {
  const long = { ...named(2_000_000), text: 'x'.repeat(1_100_000) }
  expectError(await send(asJson(long)), 413, 'payload_too_large', 'The body is larger than')
})

test.each([
  ['no name', { file_base64: 'aGk=' }, 'Missing required field: file_name'],
  ['a name without an extension', { file_base64: 'aGk=', file_name: 'hi' }, 'must have a file extension'],
  ['a name alone', { file_name: 'a.txt', text: 'x' }, 'file_name: expected with file_base64 alone'],
  ['a data URL', { file_base64: 'data:text/plain;base64,aGk=', file_name: 'a.txt' }, 'base64 alone'],
  ['no base64', { file_base64: 'a€==', file_name: 'a.txt' }, 'file_base64: expected base64'],
  [
    'a file_url beside it',
    { file_base64: 'aGk=', file_name: 'a.txt', file_url: 'https://files.example/' },
    'expected in a message of its own',
  ],
])('%s: 400', async (_what, fields, says) => {
  for (const body of [{ json: { ...FIELDS, ...fields } }, { body: form({ ...FIELDS, ...fields }) }])
    expectError(await send(body), 400, 'bad_request', says)
})

test('with a key: a repeat has to have the same file', async () => {
  const keyed = (bytes: number) => {
    const { json, headers } = asJson(named(bytes))
    return send({ json, headers: { ...headers, 'Idempotency-Key': 'base64' } })
  }
  expect((await keyed(2_000_000)).status).toBe(200)
  expect((await keyed(2_000_000)).headers.get('idempotency-replayed')).toBe('true')
  expectError(await keyed(2_000_001), 422, 'unprocessable')
})
