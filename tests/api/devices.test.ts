/** /api/v1/devices as the usage guide has it, but for the WebSocket. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { expectError } from '../support/expect-error.ts'
import { DEVICE } from '../support/fake-services.ts'
import { testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let token: string
let auth: string
beforeAll(async () => {
  app = await testHttp()
  token = await app.newToken()
  auth = `Bearer ${token}`
})
afterAll(() => app.destroy())

const DEVICES = '/api/v1/devices'

describe('POST', () => {
  test('as in the guide', async () => {
    const answer = await app.call('POST', DEVICES, { auth, json: { platform: 'wa' } })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({
      message: 'Scan the QR code to link your device',
      qr_code_url: `ws://localhost:8080/api/v1/devices/qr-code?token=${token}`,
      link_url: expect.stringMatching(/^http:\/\/localhost:8080\/link\/[\w-]{22}$/),
      link: expect.objectContaining({ platform: 'wa', flow: 'qr', state: 'waiting_for_scan' }),
    })
    expect(Object.keys(answer.body)).toEqual(['message', 'qr_code_url', 'link_url', 'link'])
  })

  test('passes flow, device and inputs on', async () => {
    const json = { platform: 'wa', flow: 'phone', device_id: '237', inputs: { phone_number: '+237' } }
    await app.call('POST', DEVICES, { auth, json })
    const { identityId, ...started } = app.link.started.at(-1) ?? { identityId: '' }
    expect(identityId).not.toBe('')
    expect(started).toEqual({
      platform: 'wa',
      flow: 'phone',
      deviceId: '237',
      inputs: { phone_number: '+237' },
    })
  })

  test.each([
    [{}, 'Missing required field: platform'],
    [{ platform: null }, 'Missing required field: platform'],
    [{ platform: '' }, 'platform: expected'],
    [{ platform: 7 }, 'platform: expected text'],
    [{ platform: 'carrier-pigeon' }, 'platform: expected one of wa'],
    [{ platform: 'wa', flow: 1 }, 'flow: expected text'],
    [{ platform: 'wa', device_id: '' }, 'device_id: expected text'],
    [{ platform: 'wa', inputs: 'x' }, 'inputs: expected an object'],
    [{ platform: 'wa', inputs: { code: 1 } }, 'inputs.code: expected text'],
  ])('refuses %j', async (json, says) => {
    expectError(await app.call('POST', DEVICES, { auth, json }), 400, 'bad_request', says)
  })
})

describe('qr_code_url behind a proxy', () => {
  test.each([
    [{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example.com' }, 'wss://api.example.com'],
    [{ 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'a.example:8443, b' }, 'wss://a.example:8443'],
    [{ 'x-forwarded-proto': 'https' }, 'wss://localhost:8080'],
    [{ 'x-forwarded-host': '[2001:db8::1]:80' }, 'ws://[2001:db8::1]:80'],
    [{ 'x-forwarded-host': 'evil.example/path?' }, 'ws://localhost:8080'],
    [{ 'x-forwarded-host': 'user@evil.example' }, 'ws://localhost:8080'],
    [{ 'x-forwarded-proto': 'javascript' }, 'ws://localhost:8080'],
    [{ 'x-forwarded-proto': '', 'x-forwarded-host': '' }, 'ws://localhost:8080'],
  ])('%j', async (headers, expected) => {
    const { body } = await app.call('POST', DEVICES, { auth, json: { platform: 'wa' }, headers })
    expect(body.qr_code_url).toBe(`${expected}/api/v1/devices/qr-code?token=${token}`)
  })

  test('PUBLIC_URL wins', async () => {
    const behind = await testHttp({ publicUrl: 'https://gateway.example/base' })
    const given = await behind.newToken()
    const { body } = await behind.call('POST', DEVICES, {
      auth: `Bearer ${given}`,
      json: { platform: 'wa' },
      headers: { 'x-forwarded-host': 'other.example' },
    })
    expect(body.qr_code_url).toBe(`wss://gateway.example/base/api/v1/devices/qr-code?token=${given}`)
    await behind.destroy()
  })
})

test('GET lists them', async () => {
  const { status, body } = await app.call('GET', DEVICES, { auth })
  expect([status, body.list]).toEqual([200, [DEVICE]])
})

describe('DELETE', () => {
  test('as in the guide', async () => {
    const json = { device_id: DEVICE.device_id, platform: DEVICE.platform }
    const answer = await app.call('DELETE', DEVICES, { auth, json })
    expect([answer.status, answer.body]).toEqual([200, { message: 'Device deleted successfully' }])
  })

  test('no such device: 404', async () => {
    const answer = await app.call('DELETE', DEVICES, { auth, json: { device_id: '1', platform: 'wa' } })
    expectError(answer, 404, 'not_found')
  })

  test.each([
    [{}, 'Missing required field: device_id'],
    [{ device_id: '1' }, 'Missing required field: platform'],
    [{ device_id: 1, platform: 'wa' }, 'device_id: expected text'],
  ])('refuses %j', async (json, says) => {
    expectError(await app.call('DELETE', DEVICES, { auth, json }), 400, 'bad_request', says)
  })
})

describe('one device', () => {
  const ONE = `${DEVICES}/${DEVICE.device_id}`

  test('GET shows it as the list does', async () => {
    const { status, body } = await app.call('GET', `${ONE}?platform=wa`, { auth })
    expect([status, body as unknown]).toEqual([200, DEVICE])
    expect(app.asked.at(-1)).toEqual({ deviceId: DEVICE.device_id, platform: 'wa' })
  })

  test('PATCH names it, and null is the network’s name again', async () => {
    for (const name of ['Support', null]) {
      const { status, body } = await app.call('PATCH', ONE, { auth, json: { name } })
      expect([status, body.name]).toEqual([200, name ?? DEVICE.name])
      expect(app.asked.at(-1)).toEqual({ deviceId: DEVICE.device_id, platform: null, name })
    }
  })

  test('PATCH with a key: the first answer again, and nothing is done', async () => {
    const named = () =>
      app.call('PATCH', ONE, { auth, json: { name: 'Once' }, headers: { 'idempotency-key': 'name-1' } })
    const first = await named()
    const before = app.asked.length
    const again = await named()
    expect([again.status, again.text]).toEqual([200, first.text])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(app.asked).toHaveLength(before)
  })

  test.each([
    [{}, 'Missing required field: name'],
    [{ name: '' }, 'name: expected text of 1 to 255 characters or null'],
    [{ name: ' \u200b' }, 'name: expected text that is not blank'],
    [{ name: 7 }, 'name: expected text'],
    [{ name: 'x'.repeat(256) }, 'name: expected text of 1 to 255 characters'],
    [{ name: 'Ada', state: 'connected' }, 'state'],
  ])('PATCH refuses %j', async (json, says) => {
    expectError(await app.call('PATCH', ONE, { auth, json }), 400, 'bad_request', says)
  })

  test('DELETE takes it off the list; again with the same key it is the same answer', async () => {
    const deleted = () =>
      app.call('DELETE', `${ONE}?platform=wa`, { auth, headers: { 'idempotency-key': 'delete-1' } })
    const first = await deleted()
    expect([first.status, first.body]).toEqual([200, { message: 'Device deleted successfully' }])
    const before = app.asked.length
    expect((await deleted()).text).toBe(first.text)
    expect(app.asked).toHaveLength(before)
  })

  test.each(['GET', 'PATCH', 'DELETE'] as const)('%s of none: 404', async method => {
    const json = method === 'PATCH' ? { json: { name: 'Ada' } } : {}
    expectError(await app.call(method, `${DEVICES}/1`, { auth, ...json }), 404, 'not_found')
    expectError(
      await app.call(method, `${ONE}?plattform=wa`, { auth, ...json }),
      400,
      'bad_request',
      'plattform',
    )
  })
})
