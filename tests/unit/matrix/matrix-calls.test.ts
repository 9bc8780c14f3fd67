/** Calls for our users: how they are authorised, revoked tokens, and rate limits. */
import { afterAll, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { AccountProvisioner, MatrixAccount } from '../../../src/domain/ports.ts'
import type { SignalPayloads } from '../../../src/domain/signals.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Signals } from '../../../src/lib/signals.ts'
import { createAppserviceAccess, createOwnTokenAccess } from '../../../src/matrix/account-access.ts'
import { createMatrixCalls } from '../../../src/matrix/matrix-calls.ts'
import { createMatrixSessions } from '../../../src/matrix/sessions.ts'
import { homeserverStub, matrixError, type StubRequest } from '../../support/homeserver-stub.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { tempDir } from '../../support/temp-dir.ts'

const USER = '@mg1:s'

/** Notes whose accounts change. */
function accountSignals(changes: (string | null)[]) {
  const signals = new Signals<SignalPayloads>()
  signals.on('account-changed', userId => changes.push(userId))
  return signals
}

/** Users with tokens of their own, at a homeserver that accepts the token `good`. */
function ownTokens(answer: (request: StubRequest) => object = () => ({ event_id: '$1' })) {
  const clock = new ManualClock()
  const stored = new Map<string, MatrixAccount>([
    [USER, { userId: USER, deviceId: 'D', accessToken: 'good' }],
  ])
  const changes: (string | null)[] = []
  const renewals: unknown[] = []
  const state = {
    good: 'good',
    renew: async (): Promise<string> => {
      throw new GatewayError('homeserver_error', 'the password is wrong')
    },
  }
  const provisioner: AccountProvisioner = {
    createAccount: () => Promise.reject(new Error('not here')),
    async renewToken(account) {
      renewals.push({ userId: account.userId, deviceId: account.deviceId })
      return { userId: account.userId, deviceId: account.deviceId, accessToken: await state.renew() }
    },
  }
  const { address, requests } = homeserverStub(request => {
    if (request.token === state.good) return answer(request)
    return matrixError(401, 'M_UNKNOWN_TOKEN', { soft_logout: true })
  })
  const access = createOwnTokenAccess({
    tokens: {
      find: async userId => stored.get(userId) ?? null,
      replace: async account => {
        stored.set(account.userId, account)
      },
    },
    provisioner,
    clock,
    logger: silentLogger,
    signals: accountSignals(changes),
  })
  const sessions = createMatrixSessions(createMatrixCalls({ address, access, clock }), true)
  const send = () => sessions.actingAs(USER).send('!r:s', 'm.room.message', {}, 'txn')
  return { clock, stored, changes, renewals, state, requests, sessions, send }
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(GatewayError)
      return error as GatewayError
    },
  )

describe('a user with an access token', () => {
  test('is authorised by it alone', async () => {
    const { send, requests } = ownTokens()
    expect(await send()).toBe('$1')
    expect(requests).toMatchObject([
      { token: 'good', path: '/_matrix/client/v3/rooms/!r:s/send/m.room.message/txn' },
    ])
    expect([...(requests[0]?.query ?? [])]).toEqual([])
  })

  test('whose token is revoked gets another for the same device, and the call is repeated with it', async () => {
    const { send, requests, renewals, stored, state, sessions, changes } = ownTokens()
    await send()
    state.good = 'new'
    state.renew = async () => 'new'
    expect(await send()).toBe('$1')
    expect(requests.map(({ token }) => token)).toEqual(['good', 'good', 'new'])
    expect(renewals).toEqual([{ userId: USER, deviceId: 'D' }])
    expect(stored.get(USER)?.accessToken).toBe('new')
    expect(sessions.accountTrouble(USER)).toBeNull()
    expect(changes).toEqual([])
  })

  test('many calls at once replace it once', async () => {
    const { send, renewals, state } = ownTokens()
    state.good = 'new'
    state.renew = async () => 'new'
    expect(await Promise.all(Array.from({ length: 20 }, send))).toEqual(
      Array.from({ length: 20 }, () => '$1'),
    )
    expect(renewals).toHaveLength(1)
  })

  test('an upload is repeated with its file', async () => {
    using folder = tempDir()
    await Bun.write(folder.file('a.txt'), 'the file')
    const { sessions, state, requests } = ownTokens(() => ({ content_uri: 'mxc://s/1' }))
    state.good = 'new'
    state.renew = async () => 'new'
    const uri = await sessions.actingAs(USER).upload(folder.file('a.txt'), 'a.txt', 'text/plain')
    expect(uri).toBe('mxc://s/1')
    expect(requests.map(({ token, text }) => [token, text])).toEqual([
      ['good', 'the file'],
      ['new', 'the file'],
    ])
  })

  test('whose token can not be replaced is in trouble, which is told, tried again ever less often, and over with the first success', async () => {
    const { send, requests, renewals, state, sessions, clock, changes } = ownTokens()
    state.good = 'none'
    const error = await failureOf(send())
    expect(error).toMatchObject({ code: 'homeserver_unavailable' })
    expect(error.retryAfterS).toBeGreaterThanOrEqual(1)
    const trouble = sessions.accountTrouble(USER) ?? ''
    expect(trouble).toContain('M_UNKNOWN_TOKEN')
    expect(trouble).toContain('the password is wrong')
    expect(trouble).not.toContain('good')
    expect(changes).toEqual([USER])

    // Until then the homeserver is left alone.
    const asked = requests.length
    await failureOf(send())
    expect([requests.length, renewals.length]).toEqual([asked, 1])
    await clock.advance(3_000)
    await failureOf(send())
    expect(renewals).toHaveLength(2)

    state.good = 'new'
    state.renew = async () => 'new'
    await clock.advance(300_000)
    expect(await send()).toBe('$1')
    expect(sessions.accountTrouble(USER)).toBeNull()
    expect(changes.at(-1)).toBe(USER)
  })

  test('a new token that is refused as well is not replaced again and again', async () => {
    const { send, renewals, state, sessions } = ownTokens()
    state.good = 'none'
    state.renew = async () => 'as bad'
    await failureOf(send())
    await failureOf(send())
    await failureOf(send())
    expect(renewals).toHaveLength(1)
    expect(sessions.accountTrouble(USER)).toContain("the new one isn't accepted either")
  })

  test('who has none yet, since an application service made the account, gets one', async () => {
    const { send, stored, state, requests } = ownTokens()
    stored.set(USER, { userId: USER, deviceId: 'D', accessToken: null })
    state.renew = async () => 'good'
    expect(await send()).toBe('$1')
    expect(requests.map(({ token }) => token)).toEqual(['good'])
  })
})

describe('a user that the application service speaks for', () => {
  function appservice() {
    const changes: (string | null)[] = []
    const state = { good: 'as' }
    const { address, requests } = homeserverStub(({ token }) =>
      token === state.good ? { event_id: '$1' } : matrixError(401, 'M_UNKNOWN_TOKEN'),
    )
    const access = createAppserviceAccess({
      asToken: 'as',
      logger: silentLogger,
      signals: accountSignals(changes),
    })
    const sessions = createMatrixSessions(
      createMatrixCalls({ address, access, clock: new ManualClock() }),
      true,
    )
    const send = () => sessions.actingAs(USER).send('!r:s', 'm.room.message', {}, 'txn')
    return { sessions, requests, changes, state, send }
  }

  test('is named in the query', async () => {
    const { send, requests } = appservice()
    await send()
    expect(requests).toMatchObject([{ token: 'as' }])
    expect(requests[0]?.query.get('user_id')).toBe(USER)
  })

  test('is in trouble with all others while the as_token is revoked', async () => {
    const { send, sessions, state, changes } = appservice()
    state.good = 'another'
    expect(await failureOf(send())).toMatchObject({ code: 'homeserver_unavailable' })
    expect(sessions.accountTrouble('@anyone:s')).toContain("doesn't accept MATRIX_AS_TOKEN")
    await failureOf(send())
    state.good = 'as'
    await send()
    expect(sessions.accountTrouble(USER)).toBeNull()
    expect(changes).toEqual([null, null])
  })
})

describe('a rate limit', () => {
  const limited = (more: object, headers = {}) => matrixError(429, 'M_LIMIT_EXCEEDED', { ...more }, headers)

  test.each([
    ['retry_after_ms', limited({ retry_after_ms: 2_500 }), 2_500],
    ['Retry-After', limited({}, { 'Retry-After': '4' }), 4_000],
    ['nothing that says for how long', limited({}), 5_000],
  ])('by %s is waited for by whatever can wait', async (_, refusal, waitMs) => {
    const answers: object[] = [refusal, {}]
    const { sessions, clock, requests } = ownTokens(() => answers.shift() ?? {})
    const joined = sessions.actingAs(USER).join('!r:s')
    await settled()
    await clock.advance(waitMs - 1)
    expect(requests).toHaveLength(1)
    await clock.advance(1)
    await joined
    expect(requests).toHaveLength(2)
  })

  test('is told to who sends, with the time to the millisecond', async () => {
    const { send, requests } = ownTokens(() => limited({ retry_after_ms: 1_234 }))
    expect(await failureOf(send())).toMatchObject({ code: 'homeserver_unavailable', retryAfterS: 1.234 })
    expect(requests).toHaveLength(1)
  })

  test('that is longer than the patience is told at once', async () => {
    const { sessions, requests } = ownTokens(() => limited({ retry_after_ms: 60_000 }))
    expect(await failureOf(sessions.actingAs(USER).join('!r:s'))).toMatchObject({ retryAfterS: 60 })
    expect(requests).toHaveLength(1)
  })

  test('that does not end is given up within the patience', async () => {
    const { sessions, clock, requests } = ownTokens(() => limited({ retry_after_ms: 4_000 }))
    const failure = failureOf(sessions.actingAs(USER).join('!r:s'))
    await settled()
    await clock.advance(20_000)
    expect(await failure).toMatchObject({ retryAfterS: 4 })
    expect(requests).toHaveLength(4)
  })
})

test('a homeserver without space says so, as ours does on our disk', async () => {
  const { address } = homeserverStub(() => matrixError(507, 'M_UNKNOWN'))
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
  const made = calls.json(USER, 'make a room', { method: 'POST', path: '/createRoom' })
  await expect(made).rejects.toMatchObject({ code: 'storage_full' })
})

test('a refusal that may pass is no refusal of the call', async () => {
  for (const status of [408, 425]) {
    const { address } = homeserverStub(() => matrixError(status, 'M_UNKNOWN'))
    const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
    const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
    const made = calls.json(USER, 'make a room', { method: 'POST', path: '/createRoom' })
    await expect(made).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  }
})

describe('over the network', () => {
  const MORE_THAN_TAKEN = 33
  const status = 200
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () =>
      new Response(
        new ReadableStream({
          async pull(stream) {
            for (let sent = 0; sent < MORE_THAN_TAKEN; sent++) stream.enqueue(new Uint8Array(1024 * 1024))
            stream.close()
          },
        }),
        { status },
      ),
  })
  const address = { baseUrl: server.url.origin }
  const access = createAppserviceAccess({ asToken: 'as', logger: silentLogger, signals: new Signals() })
  const calls = createMatrixCalls({ address, access, clock: new ManualClock() })
  afterAll(() => server.stop(true))

  test('an answer that is too large is not taken', async () => {
    const asked = calls.raw(USER, 'read the room', { method: 'GET', path: '/state' })
    await expect(asked).rejects.toThrow("the homeserver's answer to read the room isn't taken")
  })

  test('an error of a download is read to its beginning alone', async () => {
    using endless = Bun.serve({
      port: 0,
      idleTimeout: 0,
      hostname: '127.0.0.1',
      fetch: () => {
        const begun = (stream: ReadableStreamDefaultController) => stream.enqueue(new Uint8Array(1024 * 1024))
        return new Response(new ReadableStream({ start: begun }), { status: 500 })
      },
    })
    const asked = createMatrixCalls({
      address: { baseUrl: endless.url.origin },
      access,
      clock: new ManualClock(),
    })
    const download = createMatrixSessions(asked, true).actingAs(USER).download('mxc://s/broken')
    await expect(download).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  })

  test('a file may be larger, as it is read piece by piece', async () => {
    const { body } = await createMatrixSessions(calls, true).actingAs(USER).download('mxc://s/large')
    let size = 0
    for await (const chunk of body ?? []) size += chunk.length
    expect(size).toBe(MORE_THAN_TAKEN * 1024 * 1024)
  })
})
