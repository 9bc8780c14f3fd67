/** The provisioning driver against a real HTTP server that answers as bridges of different kinds and ages do. */
import { afterEach, describe, expect, test } from 'bun:test'
import { createProvisioningClient, type ProvisioningClient } from '../../../src/bridges/provisioning.ts'

let server: ReturnType<typeof Bun.serve> | undefined
afterEach(() => server?.stop(true))

function bridge(answer: (request: Request, url: URL) => Response | Promise<Response>): ProvisioningClient {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: request => answer(request, new URL(request.url)),
  })
  return createProvisioningClient('wa', { baseUrl: `http://127.0.0.1:${server.port}` }, 'secret')
}
const failing = (status: number, errcode: string, error: string) =>
  bridge(() => Response.json({ errcode, error }, { status }))

test('every call carries the secret and the user', async () => {
  const seen: string[] = []
  const client = bridge((request, url) => {
    seen.push(`${request.method} ${url.pathname}${url.search} ${request.headers.get('authorization')}`)
    return Response.json({
      id: '1',
      name: 'Ann',
      mxid: '@whatsapp_1:s',
      dm_room_mxid: '!r:s',
      identifiers: ['tel:+123'],
    })
  })
  const contact = { matrixUserId: '@whatsapp_1:s', name: 'Ann', phone: '123', roomId: '!r:s' }
  expect(await client.resolveIdentifier('@u:s', '237', '+1 2/3')).toEqual(contact)
  expect(await client.createDirectChat('@u:s', '237', '123')).toEqual({ roomId: '!r:s', contact })
  expect(seen).toEqual([
    'GET /_matrix/provision/v3/resolve_identifier/%2B1%202%2F3?user_id=%40u%3As&login_id=237 Bearer secret',
    'POST /_matrix/provision/v3/create_dm/123?user_id=%40u%3As&login_id=237 Bearer secret',
  ])
})

test('logins are read with all their fields and with none', async () => {
  const client = bridge(() =>
    Response.json({
      logins: [
        {
          id: '237',
          name: '+237',
          profile: { phone: '+237', name: 'Ann' },
          state: { state_event: 'BAD_CREDENTIALS', message: 'gone' },
        },
        { id: 'uuid' },
      ],
    }),
  )
  expect(await client.logins('@u:s')).toEqual([
    { id: '237', name: 'Ann', phone: '+237', stateEvent: 'BAD_CREDENTIALS', reason: 'gone' },
    { id: 'uuid', name: 'uuid', phone: null, stateEvent: null, reason: null },
  ])
})

test('login steps of every kind', async () => {
  const steps = [
    { login_id: 'p', type: 'display_and_wait', step_id: 's', display_and_wait: { type: 'qr', data: '2@x' } },
    {
      login_id: 'p',
      type: 'user_input',
      step_id: 's',
      instructions: 'Phone?',
      user_input: { fields: [{ id: 'phone', type: 'phone_number' }] },
    },
    { login_id: 'p', type: 'complete', step_id: 's', complete: { user_login_id: '237' } },
    { login_id: 'p', type: 'cookies', step_id: 's', cookies: {} },
  ]
  const client = bridge(() => Response.json(steps.shift()))
  expect(await client.startLogin('@u:s', 'qr')).toEqual({
    kind: 'display',
    processId: 'p',
    stepId: 's',
    display: 'qr',
    data: '2@x',
    instructions: '',
  })
  expect(await client.startLogin('@u:s', 'phone')).toMatchObject({
    kind: 'input',
    fields: [{ id: 'phone', type: 'phone_number', options: [] }],
  })
  expect(await client.startLogin('@u:s', 'qr')).toEqual({ kind: 'complete', loginId: '237' })
  expect(client.startLogin('@u:s', 'web')).rejects.toMatchObject({
    code: 'bridge_error',
    message: expect.stringContaining('cookies'),
  })
})

describe('failures keep the words of the bridge', () => {
  test.each([
    [
      500,
      'M_UNKNOWN',
      'Internal error starting login',
      'bridge_unavailable',
      'the wa bridge failed: Internal error starting login',
    ],
    [404, 'M_NOT_FOUND', 'No such user', 'not_found', 'the wa bridge found nothing (No such user)'],
    [501, 'M_UNRECOGNIZED', 'Not supported', 'bridge_error', "the wa bridge can't do this (Not supported)"],
    [404, 'M_UNRECOGNIZED', 'Unknown', 'bridge_error', "the wa bridge can't do this (Unknown)"],
    [
      401,
      'M_UNKNOWN_TOKEN',
      'Bad token',
      'bridge_error',
      "the wa bridge doesn't accept our provisioning secret (Bad token)",
    ],
  ])('%i %s', async (status, errcode, error, code, message) => {
    await expect(failing(status, errcode, error).whoami('@u:s')).rejects.toMatchObject({ code, message })
  })

  test('no bridge there', async () => {
    const client = bridge(() => new Response())
    await server?.stop(true)
    await expect(client.whoami('@u:s')).rejects.toMatchObject({ code: 'bridge_unavailable' })
  })

  test('an answer that is not understood', async () => {
    await expect(bridge(() => new Response('<html>')).startLogin('@u:s', 'qr')).rejects.toMatchObject({
      code: 'bridge_error',
    })
  })
})
