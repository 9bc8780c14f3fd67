/** Probes of homeservers and bridges over real HTTP understand every answer, and none. */
import { describe, expect, test } from 'bun:test'
import { createBridgeProbe } from '../../../../src/bridges/bridge-probe.ts'
import { createHomeserverProbe } from '../../../../src/matrix/homeserver-probe.ts'

/** A server with an answer for each path: [status, body]. */
function server(answers: Record<string, [number, unknown]>) {
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url)
      const [status, body] = answers[pathname] ?? [404, { errcode: 'M_UNRECOGNIZED' }]
      return Response.json(body, { status, headers: { date: 'Mon, 27 Apr 2026 10:00:00 GMT' } })
    },
  })
}

describe('a homeserver', () => {
  test('versions are compared as numbers, and its clock is read', async () => {
    using hs = server({
      '/_matrix/client/versions': [200, { versions: ['r0.6.1', 'v1.9', 'v1.12', 'v1.2'] }],
      '/_matrix/federation/v1/version': [200, { server: { name: 'Synapse', version: '1.163.2' } }],
    })
    const probe = createHomeserverProbe(hs.url.origin)
    expect(await probe.versions()).toEqual({ newest: 'v1.12', date: Date.UTC(2026, 3, 27, 10) })
    expect(await probe.software()).toBe('Synapse 1.163.2')
  })

  test('something else, or nobody', async () => {
    using other = server({})
    expect(await createHomeserverProbe(other.url.origin).versions()).toEqual({
      error: 'what answers there is no homeserver (HTTP 404)',
    })
    expect(await createHomeserverProbe(other.url.origin).software()).toBeNull()
    const nobody = createHomeserverProbe('http://127.0.0.1:1')
    expect(await nobody.versions()).toEqual({ error: 'connection refused' })
    expect(await nobody.whoami('token')).toEqual({ error: 'connection refused' })
  })

  test('whom a token belongs to', async () => {
    const path = '/_matrix/client/v3/account/whoami'
    using known = server({ [path]: [200, { user_id: '@meshgate:example.org' }] })
    using unknown = server({ [path]: [401, { errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid token' }] })
    expect(await createHomeserverProbe(known.url.origin).whoami('t')).toEqual({
      userId: '@meshgate:example.org',
    })
    expect(await createHomeserverProbe(unknown.url.origin).whoami('t')).toEqual({ refusal: 'Invalid token' })
  })

  test.each<[number, unknown, object]>([
    [200, { duration_ms: 3 }, { kind: 'reached' }],
    [401, { errcode: 'M_UNKNOWN_TOKEN' }, { kind: 'unknown_token' }],
    [403, { errcode: 'M_FORBIDDEN' }, { kind: 'other_registration' }],
    [400, { errcode: 'M_URL_NOT_SET' }, { kind: 'no_url' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 403 }, { kind: 'refused', detail: 'No' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 401 }, { kind: 'refused', detail: 'No' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'it said 404' }, { kind: 'strange', detail: 'it said 404' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 404 }, { kind: 'no_ping', detail: 'HTTP 404: No' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 405 }, { kind: 'no_ping', detail: 'HTTP 405: No' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 501 }, { kind: 'strange', detail: 'HTTP 501: No' }],
    [502, { errcode: 'M_BAD_STATUS', error: 'No', status: 302 }, { kind: 'strange', detail: 'HTTP 302: No' }],
    [502, { errcode: 'M_CONNECTION_FAILED', error: 'no' }, { kind: 'unreachable', detail: 'no' }],
    [504, { errcode: 'M_CONNECTION_TIMEOUT', error: 'slow' }, { kind: 'unreachable', detail: 'slow' }],
    [404, { errcode: 'M_UNRECOGNIZED' }, { kind: 'unsupported' }],
    [405, null, { kind: 'unsupported' }],
    [500, 'oops', { kind: 'failed', detail: 'HTTP 500' }],
  ])('a ping that is answered %p %p', async (status, body, outcome) => {
    using hs = server({ '/_matrix/client/v1/appservice/whatsapp/ping': [status, body] })
    expect(await createHomeserverProbe(hs.url.origin).ping('whatsapp', 'as')).toEqual(outcome as never)
  })
})

describe('a bridge', () => {
  test('is told from something else, and from nobody', async () => {
    using bridge = server({ '/_matrix/mau/live': [200, {}] })
    using other = server({})
    expect(await createBridgeProbe(bridge.url.origin).reach()).toEqual({ isBridge: true })
    expect(await createBridgeProbe(other.url.origin).reach()).toEqual({ isBridge: false })
    expect(await createBridgeProbe('http://127.0.0.1:1').reach()).toEqual({
      error: 'connection refused',
    })
  })

  test.each<[number, unknown, object]>([
    [
      200,
      {
        network: { displayname: 'WhatsApp' },
        login_flows: [{ id: 'qr' }],
        bridge_bot: '@bot:example.org',
        new: 1,
      },
      { kind: 'accepted', network: 'WhatsApp', flows: ['qr'], bot: '@bot:example.org' },
    ],
    [200, {}, { kind: 'accepted', network: 'its network', flows: [], bot: null }],
    [200, [], { kind: 'failed', detail: 'it answers something else than a bridge does' }],
    [401, { errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid' }, { kind: 'refused', detail: 'Invalid' }],
    [404, { errcode: 'M_UNRECOGNIZED' }, { kind: 'no_api' }],
    [500, null, { kind: 'failed', detail: 'HTTP 500' }],
  ])('whoami answered %p %p', async (status, body, outcome) => {
    using bridge = server({ '/_matrix/provision/v3/whoami': [status, body] })
    const probe = createBridgeProbe(bridge.url.origin)
    expect(await probe.whoami('secret', '@meshgate:example.org')).toEqual(outcome as never)
  })
})
