/** /api/v1/devices/links: a login that asks for something, over plain HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import { expectError } from '../support/expect-error.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let auth: string
let strangersAuth: string
beforeAll(async () => {
  app = await testHttp()
  auth = `Bearer ${await app.newToken()}`
  strangersAuth = `Bearer ${await app.newToken()}`
})
beforeEach(async () => {
  app.failures.answer = undefined
  await app.call('POST', '/api/v1/devices', { auth, json: { platform: 'wa' } })
})
afterAll(() => app.destroy())

const LINK = '/api/v1/devices/links/lnk_1'
const inputs = { phone_number: '+237123456789' }

test('GET shows where it stands', async () => {
  const { status, body } = await app.call('GET', LINK, { auth })
  expect(status).toBe(200)
  expect(body).toEqual({
    id: 'lnk_1',
    platform: 'wa',
    flow: 'qr',
    state: 'waiting_for_scan',
    step: { type: 'qr', payload: 'qr-1', image_url: null, instructions: '' },
    created_at: '2026-04-27T10:00:00Z',
    expires_at: '2026-04-27T10:30:00Z',
  })
})

describe('POST', () => {
  test('answers, and shows the next step', async () => {
    const { status, body } = await app.call('POST', LINK, { auth, json: { inputs } })
    expect([status, body.state]).toEqual([200, 'waiting_for_code'])
    expect(body.step).toEqual({ type: 'code', code: 'ABCD-1234', image_url: null, instructions: '' })
    expect(app.link.answers.at(-1)).toEqual(inputs)
  })

  test.each([
    ['bad_request', 400, 'code: the bridge refused this: wrong'],
    ['conflict', 409, 'asks for nothing'],
    ['bridge_timeout', 504, 'timed out'],
  ] as const)('a refusal: %s', async (code, status, says) => {
    app.failures.answer = new GatewayError(code, says)
    expectError(await app.call('POST', LINK, { auth, json: { inputs } }), status, code, says)
  })

  test.each([
    [{}, 'Missing required field: inputs'],
    [{ inputs: [] }, 'inputs: expected an object'],
    [{ inputs: { code: 5 } }, 'inputs.code: expected text'],
    [{ inputs: { code: 'x'.repeat(32_769) } }, 'inputs.code: expected text of at most 32768 characters'],
  ])('refuses %p', async (json, says) => {
    expectError(await app.call('POST', LINK, { auth, json }), 400, 'bad_request', says)
  })
})

test('DELETE cancels', async () => {
  const answer = await app.call('DELETE', LINK, { auth })
  expect([answer.status, answer.body]).toEqual([200, { message: 'Link cancelled' }])
  expect((await app.call('GET', LINK, { auth })).body.state).toBe('cancelled')
})

describe.each(['GET', 'POST', 'DELETE'])('%s', method => {
  const json = method === 'POST' ? { json: { inputs } } : {}

  test('needs a token', async () => expectError(await app.call(method, LINK, json), 401, 'unauthorized'))
  test('which must be known', async () => {
    expectError(await app.call(method, LINK, { auth: 'Bearer mt_x', ...json }), 403, 'forbidden')
  })
  test("another identity's link is not there", async () => {
    expectError(await app.call(method, LINK, { auth: strangersAuth, ...json }), 404, 'not_found')
  })
  test('no more than one that never was', async () => {
    expectError(await app.call(method, `${LINK}2`, { auth, ...json }), 404, 'not_found')
  })
})
