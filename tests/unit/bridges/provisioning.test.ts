/** The provisioning driver against an HTTP server that answers as bridges of several kinds do. */
import { afterEach, describe, expect, test } from 'bun:test'
import { createProvisioningClient, type ProvisioningClient } from '../../../src/bridges/provisioning.ts'
import type { LoginStep } from '../../../src/domain/login-steps.ts'

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
      avatar_url: 'mxc://s/ann',
    })
  })
  const contact = {
    id: '1',
    matrixUserId: '@whatsapp_1:s',
    name: 'Ann',
    phone: '123',
    identifiers: ['tel:+123'],
    roomId: '!r:s',
    avatarUri: 'mxc://s/ann',
  }
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
          state: { state_event: 'BAD_CREDENTIALS', message: 'You were logged out', error: 'wa-logged-out' },
        },
        { id: '238', state: { state_event: 'UNKNOWN_ERROR', error: 'wa-stream-error' } },
        { id: '239', state: { state_event: 'TRANSIENT_DISCONNECT', reason: 'no network' } },
        { id: 'uuid' },
      ],
    }),
  )
  expect(await client.logins('@u:s')).toEqual([
    {
      id: '237',
      name: 'Ann',
      phone: '+237',
      stateEvent: 'BAD_CREDENTIALS',
      reason: 'You were logged out (wa-logged-out)',
      errorCode: 'wa-logged-out',
    },
    {
      ...{ id: '238', name: '238', phone: null, stateEvent: 'UNKNOWN_ERROR' },
      ...{ reason: 'wa-stream-error', errorCode: 'wa-stream-error' },
    },
    {
      ...{ id: '239', name: '239', phone: null, stateEvent: 'TRANSIENT_DISCONNECT' },
      ...{ reason: 'no network', errorCode: null },
    },
    { id: 'uuid', name: 'uuid', phone: null, stateEvent: null, reason: null, errorCode: null },
  ])
})

test.each<[string, Record<string, unknown>, number | null | undefined]>([
  ['no word of it', { state_event: 'CONNECTED' }, null],
  ['none of a login without a connection', { state_event: 'TRANSIENT_DISCONNECT' }, undefined],
  ['its end', { state_event: 'CONNECTED', info: until('2026-07-16T10:00:00.5+02:00') }, 1_784_188_800_500],
  [
    'its end while the phone is away',
    { state_event: 'TRANSIENT_DISCONNECT', info: until('1970-01-01T00:00:01Z') },
    1_000,
  ],
  ['nonsense', { state_event: 'CONNECTED', info: until('soon') }, null],
])('a restriction is read from the info of a state: %s', async (_, state, expected) => {
  const client = bridge(() => Response.json({ logins: [{ id: '237', state }] }))
  expect((await client.logins('@u:s'))[0]?.restrictedUntil).toBe(expected as never)
})

function until(reachout_timelock_until: string) {
  return { reachout_timelock_until, other: 1 }
}

describe('login steps', () => {
  const base = { processId: 'p', stepId: 's', txnId: null, instructions: '' }
  const field = { required: true, options: [], pattern: null, default_value: null }

  test.each([
    [
      'what is displayed',
      { type: 'display_and_wait', txn_id: 'bls_1', display_and_wait: { type: 'qr', data: '2@x' } },
      { ...base, txnId: 'bls_1', kind: 'display', display: 'qr', data: '2@x', image_url: null },
    ],
    [
      'an emoji with its picture',
      {
        type: 'display_and_wait',
        display_and_wait: { type: 'emoji', data: '🐱', image_url: 'https://e/cat.png' },
      },
      { ...base, kind: 'display', display: 'emoji', data: '🐱', image_url: 'https://e/cat.png' },
    ],
    [
      'nothing to display',
      {
        type: 'display_and_wait',
        instructions: 'Confirm on the phone',
        display_and_wait: { type: 'nothing' },
      },
      {
        ...base,
        instructions: 'Confirm on the phone',
        kind: 'display',
        display: 'nothing',
        data: '',
        image_url: null,
      },
    ],
    [
      'what is typed in',
      {
        type: 'user_input',
        user_input: {
          fields: [
            { id: 'phone', type: 'phone_number', name: 'Phone', description: 'Yours' },
            { id: 'dc', type: 'select', options: ['eu', 'us'], pattern: '^(eu|us)$', default_value: 'eu' },
            { id: 'name', type: 'username', name: 'Name', optional: true },
          ],
          attachments: [
            { type: 'm.image', filename: 'captcha.png', content: 'AAAA', info: { mimetype: 'image/png' } },
          ],
        },
      },
      {
        ...base,
        kind: 'input',
        fields: [
          { ...field, id: 'phone', type: 'phone_number', name: 'Phone', description: 'Yours' },
          {
            ...field,
            id: 'dc',
            type: 'select',
            name: 'dc',
            description: '',
            options: ['eu', 'us'],
            pattern: '^(eu|us)$',
            default_value: 'eu',
          },
          { ...field, id: 'name', type: 'username', name: 'Name', description: '', required: false },
        ],
        attachments: [{ file_name: 'captcha.png', mime_type: 'image/png', content: 'AAAA' }],
      },
    ],
    [
      'what a web login leaves behind',
      {
        type: 'cookies',
        cookies: {
          url: 'https://example.com/login',
          user_agent: 'Mozilla',
          wait_for_url_pattern: '/feed',
          fields: [
            {
              id: 'li_at',
              required: true,
              pattern: '^AQ',
              sources: [{ type: 'cookie', name: 'li_at', cookie_domain: 'example.com' }],
            },
            { id: 'track', required: false },
          ],
        },
      },
      {
        ...base,
        kind: 'cookies',
        page: {
          url: 'https://example.com/login',
          user_agent: 'Mozilla',
          extract_js: null,
          wait_for_url_pattern: '/feed',
        },
        fields: [
          {
            ...field,
            id: 'li_at',
            type: 'cookie',
            name: 'li_at',
            description: '',
            pattern: '^AQ',
            sources: [
              { type: 'cookie', name: 'li_at', cookie_domain: 'example.com', request_url_regex: null },
            ],
          },
          {
            ...field,
            id: 'track',
            type: 'cookie',
            name: 'track',
            description: '',
            required: false,
            sources: [],
          },
        ],
      },
    ],
    [
      'a passkey',
      {
        type: 'webauthn',
        txn_id: 'bls_2',
        webauthn: { url: 'https://web.whatsapp.com', publicKey: { challenge: 'AA', rpId: 'whatsapp.com' } },
      },
      {
        ...base,
        txnId: 'bls_2',
        kind: 'passkey',
        url: 'https://web.whatsapp.com',
        publicKey: { challenge: 'AA', rpId: 'whatsapp.com' },
        fields: [expect.objectContaining({ id: 'credential', type: 'credential', required: true })],
      },
    ],
    [
      'the end',
      { type: 'complete', complete: { user_login_id: '237' } },
      { kind: 'complete', loginId: '237' },
    ],
  ])('%s', async (_what, answer, expected) => {
    const client = bridge(() => Response.json({ login_id: 'p', step_id: 's', ...answer }))
    expect(await client.startLogin('@u:s', 'qr')).toEqual(expected as LoginStep)
  })

  test.each([
    [{ type: 'webauthn' }, 'webauthn'],
    [{ type: 'client_http', client_http: {}, instructions: 'Use the app' }, 'client_http (Use the app)'],
    [{ type: 'display_and_wait', display_and_wait: { type: 'hologram' } }, 'hologram'],
    [{ type: 'cookies' }, 'cookies'],
  ])('%j is named as unknown', async (answer, kind) => {
    const asked: string[] = []
    const client = bridge((_request, url) => {
      asked.push(url.pathname)
      return Response.json({ login_id: 'p', step_id: 's', ...answer })
    })
    await expect(client.startLogin('@u:s', 'web')).rejects.toMatchObject({
      code: 'bridge_error',
      message: expect.stringContaining(`of a kind that we don't know: ${kind}`),
    })
    // Nobody else would end it.
    expect(asked.at(-1)).toBe('/_matrix/provision/v3/login/cancel/p')
  })

  test('are submitted by their type, with the transaction id they have', async () => {
    const seen: string[] = []
    const client = bridge(async (request, url) => {
      seen.push(`${url.pathname}${url.search} ${await request.text()}`)
      return Response.json({ type: 'complete', complete: { user_login_id: '1' } })
    })
    const step = { ...base, stepId: 'a/b', fields: [] }
    const page = { url: '', user_agent: null, extract_js: null, wait_for_url_pattern: null }
    await client.submitLogin('@u:s', { ...step, kind: 'input', attachments: [] }, { code: '1' })
    await client.submitLogin('@u:s', { ...step, kind: 'cookies', txnId: 'bls_1', page }, { li_at: '2' })
    const passkey = { kind: 'passkey', url: 'https://web.whatsapp.com', publicKey: {} } as const
    await client.submitLogin('@u:s', { ...step, ...passkey }, { credential: '{"id":"x"}' })
    expect(seen).toEqual([
      '/_matrix/provision/v3/login/step/p/a%2Fb/user_input?user_id=%40u%3As {"code":"1"}',
      '/_matrix/provision/v3/login/step/p/a%2Fb/cookies?user_id=%40u%3As&txn_id=bls_1 {"li_at":"2"}',
      '/_matrix/provision/v3/login/step/p/a%2Fb/webauthn?user_id=%40u%3As {"id":"x"}',
    ])
  })

  const asking = { ...base, kind: 'input' as const, fields: [], attachments: [] }

  test.each([
    [400, 'FI.MAU.INVALID_CODE', 'Wrong code', 'bad_request', 'Wrong code'],
    [403, 'M_FORBIDDEN', 'Wrong password', 'bad_request', 'Wrong password'],
    [404, 'M_NOT_FOUND', 'Login not found', 'not_found', 'Login not found'],
    [400, 'M_BAD_STATE', 'Step ID does not match', 'bridge_error', 'Step ID does not match'],
    [400, 'FI.MAU.WHATSAPP.LOGIN_TIMEOUT', 'Timed out', 'bridge_timeout', 'Timed out'],
    [410, 'FI.MAU.BRIDGE.LOGIN_TIMED_OUT', 'Login process timed out', 'bridge_timeout', 'timed out'],
    [500, 'M_UNKNOWN', 'Internal error submitting input', 'bad_request', 'Internal error submitting input'],
    [503, 'M_UNKNOWN', 'The number is blocked', 'bad_request', 'The number is blocked'],
    [404, 'M_NOT_FOUND', 'No such account', 'bad_request', 'No such account'],
    [401, 'FI.MAU.WRONG_PASSWORD', 'Wrong password', 'bad_request', 'Wrong password'],
    [401, 'M_UNKNOWN_TOKEN', 'Invalid auth token', 'bridge_error', 'provisioning secret'],
    [405, 'M_UNRECOGNIZED', 'Invalid method', 'not_supported', 'Invalid method'],
    [500, '', '', 'bad_request', 'HTTP 500'],
    [502, '', '', 'bridge_unavailable', 'HTTP 502'],
    [507, 'M_UNKNOWN', 'Disk full', 'storage_full', 'Disk full'],
  ])('an answer refused with %i %s', async (status, errcode, error, code, says) => {
    const submitted = failing(status, errcode, error).submitLogin('@u:s', asking, {})
    await expect(submitted).rejects.toMatchObject({ code, message: expect.stringContaining(says) })
  })

  test.each([
    [400, 'M_BAD_STATE', true],
    [404, 'M_NOT_FOUND', false],
    [400, 'M_UNKNOWN', false],
  ])(
    'a login whose other step is refused with %i %s still stands there: %p',
    async (status, errcode, stands) => {
      expect(await failing(status, errcode, '').isLoginAt('@u:s', asking)).toBe(stands)
    },
  )

  test('a bridge that says no more than that something went wrong', async () => {
    const started = failing(500, 'M_UNKNOWN', 'Internal error starting login').startLogin('@u:s', 'qr')
    await expect(started).rejects.toMatchObject({
      code: 'bridge_unavailable',
      message: expect.stringMatching(/can't reach its network \(Internal error starting login\)/),
    })
  })
})

test('a user whom the bridge does not know has no logins, and the bridge an API all the same', async () => {
  const client = failing(404, 'M_NOT_FOUND', 'User not found')
  expect(await client.logins('@u:s')).toEqual([])
  expect(await client.isThere('@u:s')).toBe(true)
  await expect(failing(404, 'M_NOT_FOUND', 'Not found').logins('@u:s')).rejects.toMatchObject({
    message: expect.stringContaining('no provisioning API'),
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
    [507, 'M_UNKNOWN', 'Disk full', 'storage_full', 'the wa bridge has no space left: Disk full'],
    [501, 'M_UNRECOGNIZED', 'Not supported', 'not_supported', "the wa bridge can't do this (Not supported)"],
    [404, 'M_UNRECOGNIZED', 'Unknown', 'not_supported', "the wa bridge can't do this (Unknown)"],
    [
      401,
      'M_UNKNOWN_TOKEN',
      'Bad token',
      'bridge_error',
      "the wa bridge doesn't accept our provisioning secret (Bad token)",
    ],
  ])('%i %s', async (status, errcode, error, code, message) => {
    await expect(failing(status, errcode, error).logout('@u:s', '237')).rejects.toMatchObject({
      code,
      message,
    })
  })

  test.each([
    [404, 'M_NOT_FOUND', 'Login not found', 'bridge_error', 'the wa bridge no longer has this login'],
    [404, 'M_NOT_FOUND', 'Identifier not found', 'not_found', 'found nothing (Identifier not found)'],
    [400, 'M_INVALID_PARAM', 'Only phone numbers', 'bad_request', 'Only phone numbers'],
    [404, 'M_UNRECOGNIZED', 'No resolving here', 'not_supported', "can't do this"],
  ])('about people: %i %s %s', async (status, errcode, error, code, says) => {
    const resolved = failing(status, errcode, error).resolveIdentifier('@u:s', '237', '1')
    await expect(resolved).rejects.toMatchObject({ code, message: expect.stringContaining(says) })
  })

  test.each([
    [404, 'M_UNRECOGNIZED', 'Unrecognized endpoint', false],
    [403, 'M_FORBIDDEN', 'Provisioning API is disabled', false],
    [403, 'M_FORBIDDEN', 'User does not have login permissions', true],
    [401, 'M_UNKNOWN_TOKEN', 'Invalid auth token', true],
    [500, 'M_UNKNOWN', 'Failed to get user', true],
  ])('%i %s %s: whether there is a provisioning API at all', async (status, errcode, error, isThere) => {
    expect(await failing(status, errcode, error).isThere('@u:s')).toBe(isThere)
    const whoami = failing(status, errcode, error).whoami('@u:s')
    const says = isThere
      ? error
      : "no provisioning API: switch it on, or name the bridge's bot with BRIDGE_WA_BOT"
    await expect(whoami).rejects.toMatchObject({ message: expect.stringContaining(says) })
  })

  test('no bridge there', async () => {
    const client = bridge(() => new Response())
    await server?.stop(true)
    await expect(client.whoami('@u:s')).rejects.toMatchObject({
      code: 'bridge_unavailable',
      message: expect.stringMatching(/^the \w+ bridge can't be reached \(connection (refused|reset)\)$/),
    })
  })

  test('an answer that is not understood', async () => {
    await expect(bridge(() => new Response('<html>')).startLogin('@u:s', 'qr')).rejects.toMatchObject({
      code: 'bridge_error',
    })
  })
})

describe('older messages of a chat', () => {
  test('are asked for by the room, for the login', async () => {
    const seen: string[] = []
    const client = bridge((request, url) => {
      seen.push(`${request.method} ${url.pathname}${url.search}`)
      return Response.json({})
    })
    expect(await client.fetchOlder('@u:s', '237', '!r:s')).toBe('fetched')
    expect(seen).toEqual(['POST /_matrix/provision/v3/backfill/!r%3As?user_id=%40u%3As&login_id=237'])
  })

  test('there are none', async () => {
    const client = bridge(() => new Response(null, { status: 204 }))
    expect(await client.fetchOlder('@u:s', '237', '!r:s')).toBe('complete')
  })

  test('come later, where the phone has to be asked', async () => {
    const client = failing(
      504,
      'FI.MAU.BRIDGE_BACKFILL_TIMEOUT',
      'Backfill did not complete within 25 seconds',
    )
    expect(await client.fetchOlder('@u:s', '237', '!r:s')).toBe('pending')
  })

  test.each([
    [404, 'M_UNRECOGNIZED', 'Manual backfill is not enabled', 'not_supported'],
    [404, 'M_NOT_FOUND', 'Portal not found', 'not_found'],
    [502, '', '', 'bridge_unavailable'],
  ])('are refused: %d %s', async (status, errcode, error, code) => {
    const asked = failing(status, errcode, error).fetchOlder('@u:s', '237', '!r:s')
    expect(await asked.catch(error => error.code)).toBe(code)
  })
})

describe('groups', () => {
  const capable = (types: Record<string, unknown>, answer: () => Response) => {
    const seen: unknown[] = []
    const client = bridge(async (request, url) => {
      if (url.pathname.endsWith('/capabilities')) return Response.json({ group_creation: types })
      seen.push([`${request.method} ${url.pathname}${url.search}`, await request.json()])
      return answer()
    })
    return { client, seen }
  }

  test('are made of the network’s ordinary type, for the login', async () => {
    const failed = { '491': { reason: 'error 403' } }
    const { client, seen } = capable({ channel: {}, group: {} }, () =>
      Response.json({ id: '1203@g.us', mxid: '!g:s', failed_participants: failed }),
    )
    const made = await client.createGroup('@u:s', '237', { name: 'Team', participants: ['490', '@wa_491:s'] })
    expect(made).toEqual({ roomId: '!g:s', channelId: '1203@g.us', failed: new Map([['491', 'error 403']]) })
    expect(seen).toEqual([
      [
        'POST /_matrix/provision/v3/create_group/group?user_id=%40u%3As&login_id=237',
        { name: { name: 'Team' }, participants: ['490', '@wa_491:s'] },
      ],
    ])
  })

  test('can’t be made where the network has none', async () => {
    const { client, seen } = capable({}, () => Response.json({}))
    const making = client.createGroup('@u:s', '237', { name: 'Team', participants: [] })
    expect(await making.catch(error => error.code)).toBe('not_supported')
    expect(seen).toEqual([])
    expect((await client.capabilities('@u:s')).create_group).toBe(false)
  })

  test('are refused in the bridge’s words', async () => {
    const { client } = capable({ group: {} }, () =>
      Response.json({ errcode: 'M_INVALID_PARAM', error: 'Name is required' }, { status: 400 }),
    )
    const making = client.createGroup('@u:s', '237', { name: '', participants: [] })
    await expect(making).rejects.toMatchObject({ code: 'bad_request', message: 'Name is required' })
  })
})
