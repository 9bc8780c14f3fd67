/** /api/v1/devices/links: a login that asks for something, over plain HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import type { LinkEvent } from '../../src/domain/views/link.ts'
import { expectError } from '../support/expect-error.ts'
import { matrixOf, matrixOfPng } from '../support/qr-matrix.ts'
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

describe('the QR code', () => {
  const qr = (query: string) => app.call('GET', `${LINK}/qr${query}`, { auth })

  test('is a picture', async () => {
    for (const query of ['', '?format=png']) {
      const response = await app.http.handle(
        new Request(`http://localhost:8080${LINK}/qr${query}`, { headers: { authorization: auth } }),
      )
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png'])
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(matrixOfPng(new Uint8Array(await response.arrayBuffer()))).toEqual(matrixOf('qr-1'))
    }
    const { status, headers, text } = await qr('?format=svg')
    expect([status, headers.get('content-type')]).toEqual([200, 'image/svg+xml'])
    expect(text).toMatch(/^<svg[\s\S]+<\/svg>/)
  })

  test('is its text', async () => {
    const { status, headers, text } = await qr('?format=txt')
    expect([status, text]).toEqual([200, 'qr-1'])
    expect(headers.get('content-type')).toStartWith('text/plain')
    expect(headers.get('cache-control')).toBe('no-store')
    const { body } = await qr('?format=json')
    expect(body as unknown).toEqual({ payload: 'qr-1', instructions: '', expires_at: '2026-04-27T10:30:00Z' })
  })

  test('is the newest', async () => {
    app.link.emit({ type: 'qr', payload: 'qr-2', image_url: null, instructions: '' })
    expect((await qr('?format=txt')).text).toBe('qr-2')
  })

  test.each<[LinkEvent, string, string]>([
    [
      { type: 'code', code: 'ABCD-1234', image_url: null, instructions: '' },
      'waiting_for_code',
      'it stands on the step "code"',
    ],
    [
      { type: 'error', code: 'timeout', message: 'nobody scanned' },
      'timeout',
      'it has ended: nobody scanned',
    ],
    [
      { type: 'connected', platform: 'wa', device_id: '237', name: 'Ada' },
      'connected',
      'the device is linked',
    ],
  ])('is refused when there is none: %j', async (step, state, says) => {
    app.link.emit(step)
    const answer = await qr('?format=svg')
    expect(answer.status).toBe(409)
    expect(answer.body as unknown).toEqual({
      error: `id: the link lnk_1 shows no QR code, as ${says}`,
      code: 'conflict',
      state,
      request_id: expect.any(String),
    })
  })

  test('in another format', async () => {
    expectError(await qr('?format=gif'), 400, 'bad_request', 'format: expected one of png, svg, json, txt')
  })

  test("of another identity's link is not there", async () => {
    expectError(await app.call('GET', `${LINK}/qr`, { auth: strangersAuth }), 404, 'not_found')
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
