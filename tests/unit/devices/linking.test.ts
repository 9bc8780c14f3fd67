/**
 * Links: every way in which a login can ask for something, be answered, go wrong and end. The
 * bridge is scripted, behind real HTTP.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Device } from '../../../src/db/schema/index.ts'
import type { Bridge, Bridges } from '../../../src/domain/ports.ts'
import type { LinkEvent } from '../../../src/domain/views/link.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { createLinking, type Linking } from '../../../src/modules/devices/linking.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { asks, complete, displays, ScriptedBridge } from '../../support/scripted-bridge.ts'
import { waitFor } from '../../support/wait-for.ts'

const IDENTITY = { id: 'id_1', matrixUserId: '@u:s' }
const PHONE = { id: 'phone_number', type: 'phone_number', name: 'Phone number' }
const CODE = { id: 'code', type: '2fa_code', name: 'Code' }

let bridge: ScriptedBridge
let linking: Linking
let clock: ManualClock
/** The devices as a reconciliation with the bridge would make them. */
let known: Pick<Device, 'loginId' | 'platform' | 'deviceId' | 'name'>[]
let log: string[]
let awaited: string[]
/** States of links, as they are told. */
let states: string[]
let onAwait: () => void

beforeEach(() => {
  bridge = new ScriptedBridge()
  clock = new ManualClock()
  known = [{ loginId: '237', platform: 'wa', deviceId: '237', name: 'Ada' }]
  log = []
  awaited = []
  states = []
  onAwait = () => undefined
  const bridges: Bridges = {
    platforms: ['wa'],
    forPlatform: () => bridge.client() as unknown as Bridge,
    platformOfBot: async () => null,
    ownsUser: () => null,
  }
  linking = createLinking({
    bridges,
    devices: {
      awaitLogin: async (identityId, platform) => {
        onAwait()
        awaited.push(`${identityId}/${platform}`)
      },
      reconcile: async () => undefined,
      linked: async () => known as Device[],
      find: async (_identityId, deviceId) =>
        (known.find(device => device.deviceId === deviceId) as Device | undefined) ?? null,
    },
    changed: ({ platform }, state) => void states.push(`${platform} ${state}`),
    clock,
    logger: createLogger('debug', { destination: { write: line => void log.push(line) } }),
  })
})
afterEach(() => {
  linking.stop()
  bridge[Symbol.dispose]()
})

const start = (request: { flow?: string; deviceId?: string; inputs?: Record<string, string> } = {}) =>
  linking.start(IDENTITY, { platform: 'wa', ...request })
const view = (id: string) => linking.get(IDENTITY.id, id)
const answer = (id: string, inputs: Record<string, string>) => linking.answer(IDENTITY.id, id, inputs)
const given = () => bridge.calls.filter(call => call.path.startsWith('/login/step/')).map(call => call.given)

test('a login is awaited before its bridge begins with it', async () => {
  bridge.first = asks('phone', PHONE)
  onAwait = () => expect(bridge.calls).toEqual([])
  await start()
  expect(awaited).toEqual([`${IDENTITY.id}/wa`])
  expect(bridge.calls).not.toEqual([])
})

describe('what is asked and answered', () => {
  test('phone number, code and password, one after the other', async () => {
    bridge.first = asks('phone', PHONE)
    bridge.outcomes.set('phone', () => ({ next: asks('code', CODE) }))
    bridge.outcomes.set('code', () => ({ next: asks('password', { id: 'password', type: 'password' }) }))
    bridge.outcomes.set('password', () => ({ next: complete('237') }))
    const link = await start()
    expect(link).toMatchObject({
      state: 'waiting_for_input',
      flow: 'qr',
      step: { type: 'input', fields: [PHONE] },
    })
    expect(link.expires_at).toBe('2026-04-27T10:10:00Z')
    expect(await answer(link.id, { phone_number: '237 123-456' })).toMatchObject({ step: { fields: [CODE] } })
    // By the type of the field, as well.
    expect(await answer(link.id, { '2fa_code': ' 12345 ' })).toMatchObject({
      step: { fields: [{ id: 'password' }] },
    })
    const end = await answer(link.id, { password: ' with spaces ' })
    expect(end).toMatchObject({
      state: 'connected',
      step: { device_id: '237', name: 'Ada' },
      expires_at: null,
    })
    expect(given()).toEqual([
      { phone_number: '+237123456' },
      { code: '12345' },
      { password: ' with spaces ' },
    ])
    expect(states).toEqual(['wa waiting_for_input', 'wa connected'])
  })

  test('cookies of a web login', async () => {
    bridge.first = {
      type: 'cookies',
      step_id: 'web',
      cookies: {
        url: 'https://example.com/login',
        user_agent: 'Mozilla',
        fields: [
          {
            id: 'li_at',
            required: true,
            pattern: '\\bAQ[a-z]+',
            sources: [{ type: 'cookie', name: 'li_at', cookie_domain: 'example.com' }],
          },
          { id: 'track', required: false, pattern: 'x' },
        ],
      },
    }
    bridge.outcomes.set('web', () => ({ next: complete('237') }))
    const link = await start()
    expect(link.state).toBe('waiting_for_input')
    expect(link.step).toMatchObject({
      type: 'cookies',
      url: 'https://example.com/login',
      user_agent: 'Mozilla',
      fields: [
        {
          id: 'li_at',
          required: true,
          sources: [{ type: 'cookie', name: 'li_at', cookie_domain: 'example.com' }],
        },
        { id: 'track', required: false },
      ],
    })
    expect(await answer(link.id, { li_at: 'AQabc' })).toMatchObject({ state: 'connected' })
    expect(given()).toEqual([{ li_at: 'AQabc' }])
  })

  test('answers known beforehand are given as soon as they are asked for, each once', async () => {
    bridge.first = asks('phone', PHONE)
    bridge.outcomes.set('phone', () => ({ next: asks('code', CODE) }))
    bridge.outcomes.set('code', () => ({ next: asks('phone', PHONE) }))
    const link = await start({ inputs: { phone_number: '+237', code: '1', unasked: 'x' } })
    expect(given()).toEqual([{ phone_number: '+237' }, { code: '1' }])
    expect(link).toMatchObject({ state: 'waiting_for_input', step: { fields: [PHONE] } })
  })

  test('answers known beforehand are completed by what is given later', async () => {
    bridge.first = asks('login', { id: 'user', type: 'username' }, { id: 'pass', type: 'password' })
    bridge.outcomes.set('login', () => ({ next: complete('237') }))
    const link = await start({ inputs: { username: 'ada' } })
    expect(link.state).toBe('waiting_for_input')
    expect(await answer(link.id, { pass: 'x' })).toMatchObject({ state: 'connected' })
    expect(given()).toEqual([{ user: 'ada', pass: 'x' }])
  })

  test('a login without any question is connected at once', async () => {
    bridge.first = complete('237')
    const { id } = await start()
    expect(view(id)).toMatchObject({ state: 'connected', step: { device_id: '237' } })
    expect(log.map(line => JSON.parse(line))).toMatchObject([
      { level: 'info', link: id, device_id: '237', msg: 'a device was linked' },
    ])
  })

  test.each([
    ['qr', '2@x', 'waiting_for_scan', { type: 'qr', payload: '2@x' }],
    ['code', 'ABCD', 'waiting_for_code', { type: 'code', code: 'ABCD' }],
    ['emoji', '🐱', 'waiting_for_code', { type: 'emoji', emoji: '🐱', image_url: null }],
    ['nothing', '', 'waiting', { type: 'wait' }],
  ] as const)('what is displayed: %s', async (type, data, state, step) => {
    bridge.first = { ...displays('show', type, data), instructions: 'Do it' }
    expect(await start()).toMatchObject({ state, step: { ...step, instructions: 'Do it' } })
  })
})

test('a passkey is asked for, and only what navigator.credentials.get() gives is taken', async () => {
  const publicKey = { challenge: 'AA', rpId: 'whatsapp.com' }
  bridge.first = {
    type: 'webauthn',
    step_id: 'key',
    webauthn: { url: 'https://web.whatsapp.com', publicKey },
  }
  bridge.outcomes.set('key', () => ({ next: complete('237') }))
  const link = await start()
  expect(link).toMatchObject({
    state: 'waiting_for_input',
    step: { type: 'passkey', url: 'https://web.whatsapp.com', publicKey },
  })
  for (const credential of ['hello', '{"id":"x"}']) {
    await expect(answer(link.id, { credential })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'credential: expected the JSON that navigator.credentials.get() gave',
    })
  }
  const response = { clientDataJSON: 'e30', authenticatorData: 'AA', signature: 'AA' }
  const credential = { id: 'x', rawId: 'x', type: 'public-key', response }
  expect(await answer(link.id, { credential: JSON.stringify(credential) })).toMatchObject({
    state: 'connected',
  })
  expect(given() as unknown[]).toEqual([credential])
})

describe('what is refused before the bridge sees it', () => {
  const SELECT = { id: 'dc', type: 'select', options: ['eu', 'us'] }
  const PATTERN = { id: 'code', type: '2fa_code', pattern: '^[0-9]{5}$' }
  test.each([
    [[CODE], {}, 'Missing required field: code'],
    [[CODE], { code: '  ' }, 'code: expected text that is not empty'],
    [[CODE], { kode: '1' }, "kode: this isn't asked for, expected code"],
    [[SELECT], { dc: 'asia' }, 'dc: expected one of eu, us'],
    [[PATTERN], { code: '12' }, 'code: expected something that matches ^[0-9]{5}$'],
    [
      [CODE, { id: 'other', type: '2fa_code' }],
      { '2fa_code': '1' },
      "2fa_code: this isn't asked for, expected code, other",
    ],
  ])('%j given %j', async (fields, inputs, message) => {
    bridge.first = asks('step', ...fields)
    const link = await start()
    await expect(answer(link.id, inputs)).rejects.toMatchObject({ code: 'bad_request', message })
    expect(given()).toEqual([])
    expect(view(link.id).state).toBe('waiting_for_input')
  })

  test('a pattern that only Go knows is left to the bridge, and a default stands in for what is missing', async () => {
    bridge.first = asks(
      'step',
      { id: 'a', type: 'token', pattern: '(?i)^x\\z' },
      { ...SELECT, default_value: 'eu' },
    )
    bridge.outcomes.set('step', () => ({ next: complete('237') }))
    const link = await start()
    await answer(link.id, { a: 'X' })
    expect(given()).toEqual([{ a: 'X', dc: 'eu' }])
  })
})

describe('what the bridge refuses', () => {
  const wrong = { status: 400, errcode: 'FI.MAU.INVALID_CODE', error: 'That is not the code' }

  test('most often ends the login', async () => {
    bridge.first = asks('code', CODE)
    bridge.outcomes.set('code', () => wrong)
    const link = await start()
    await expect(answer(link.id, { code: '1' })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'code: the bridge refused this: That is not the code; the link has ended, start a new one',
    })
    expect(view(link.id)).toMatchObject({
      state: 'failed',
      step: { message: expect.stringContaining('not the code') },
    })
    await expect(answer(link.id, { code: '2' })).rejects.toMatchObject({ code: 'conflict' })
  })

  test('but may be answered again where the login still stands', async () => {
    bridge.first = asks('code', CODE)
    bridge.outcomes.set('code', ({ code }) =>
      code === '2' ? { next: complete('237') } : { ...wrong, stands: true },
    )
    const link = await start()
    await expect(answer(link.id, { code: '1' })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'code: the bridge refused this: That is not the code; the link goes on, answer again',
    })
    expect(view(link.id).state).toBe('waiting_for_input')
    expect(await answer(link.id, { code: '2' })).toMatchObject({ state: 'connected' })
  })

  test('of answers known beforehand fails the start, and leaves nothing to follow', async () => {
    bridge.first = asks('phone', PHONE)
    bridge.outcomes.set('phone', () => ({ ...wrong, error: 'Phone number too short' }))
    await expect(start({ inputs: { phone_number: '1' } })).rejects.toMatchObject({
      code: 'bad_request',
      message: 'phone_number: the bridge refused this: Phone number too short',
    })
    expect(() => linking.follow(IDENTITY.id, undefined, () => undefined)).toThrow('no device is being linked')
  })

  test('a login that the bridge has forgotten, and one it can do nothing with', async () => {
    bridge.first = asks('code', CODE)
    bridge.outcomes.set('code', () => ({ status: 404, errcode: 'M_NOT_FOUND', error: 'Login not found' }))
    const forgotten = await start()
    await expect(answer(forgotten.id, { code: '1' })).rejects.toMatchObject({ code: 'bridge_error' })
    expect(view(forgotten.id).state).toBe('failed')
    bridge.outcomes.set('code', () => ({ status: 500, errcode: 'M_UNKNOWN', error: 'Internal error' }))
    const broken = await start()
    await expect(answer(broken.id, { code: '1' })).rejects.toMatchObject({
      code: 'bad_request',
      message:
        "code: the bridge failed, and doesn't say whether the input is wrong or its network is out of reach: Internal error; the link has ended, start a new one",
    })
    expect(view(broken.id).state).toBe('failed')
  })

  test('nothing that was typed in gets into the log, not even where the bridge repeats it', async () => {
    bridge.first = asks('code', CODE)
    bridge.outcomes.set('code', ({ code }) => ({ ...wrong, error: `"${code}" is not the code` }))
    const link = await start()
    await expect(answer(link.id, { code: 's3cr3t' })).rejects.toMatchObject({
      message: expect.stringContaining('s3cr3t'),
    })
    await waitFor(() => log.length > 0)
    expect(log.join('')).toContain('a link ended without success')
    expect(log.join('')).not.toContain('s3cr3t')
  })
})

describe('a bridge that does not answer', () => {
  const tooLate = { code: 'bridge_unavailable', message: expect.stringContaining('within 15 s') }
  const called = (path: string) => bridge.calls.some(call => call.path === path)

  async function late(request: Parameters<typeof start>[0], isReached: () => boolean) {
    const startedAt = clock.steady()
    const ended = start(request).catch((error: unknown) => error)
    await waitFor(isReached)
    await clock.advance(15_000)
    expect(await ended).toMatchObject(tooLate)
    expect(clock.steady() - startedAt).toBeLessThanOrEqual(15_000)
  }

  test('at all is given up, and begins no login when it answers later', async () => {
    let asked = false
    const { promise, resolve } = Promise.withResolvers<void>()
    bridge.silence = {
      get whoami() {
        asked = true
        return promise
      },
    }
    await late({}, () => asked)
    resolve()
    expect(await bridge.client().flows('@u:s')).toHaveLength(1)
    await settled()
    expect([bridge.calls, awaited]).toEqual([[], []])
    expect(() => linking.follow(IDENTITY.id, 'wa', () => undefined)).toThrow('no device is being linked')
  })

  test('to the login is given up, which is told and cancelled when it has begun after all', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    bridge.silence = { start: promise }
    bridge.first = displays('qr', 'qr', '2@x')
    await late({}, () => called('/login/start/qr'))
    expect(linking.follow(IDENTITY.id, 'wa', () => undefined).latest).toMatchObject({ type: 'error' })
    expect(called('/login/cancel/process')).toBe(false)
    resolve()
    await waitFor(() => called('/login/cancel/process'))
  })

  test('to what was given beforehand is given up and cancelled', async () => {
    bridge.first = asks('phone', PHONE)
    await late({ inputs: { phone_number: '237123456' } }, () => given().length > 0)
    await waitFor(() => called('/login/cancel/process'))
  })
})

describe('the end', () => {
  test.each([
    [
      {
        status: 400,
        errcode: 'FI.MAU.WHATSAPP.LOGIN_TIMEOUT',
        error: 'Entering code or scanning QR timed out.',
      },
      'timeout',
    ],
    [{ status: 410, errcode: 'FI.MAU.BRIDGE.LOGIN_TIMED_OUT', error: 'Login process timed out' }, 'timeout'],
    [
      { status: 500, errcode: 'M_UNKNOWN', error: 'context deadline exceeded: the QR code expired' },
      'timeout',
    ],
    [
      { status: 410, errcode: 'FI.MAU.BRIDGE.LOGIN_CANCELLED', error: 'Login process was cancelled' },
      'cancelled',
    ],
    [{ status: 500, errcode: 'M_UNKNOWN', error: 'Internal error waiting for login' }, 'failed'],
  ] as const)('%j is a %s', async (failure, state) => {
    bridge.first = displays('qr', 'qr', '2@x')
    const { promise, resolve } = Promise.withResolvers<typeof failure>()
    bridge.outcomes.set('qr', () => promise)
    const link = await start()
    resolve(failure)
    await waitFor(() => view(link.id).state === state)
    expect(view(link.id).step).toMatchObject({
      type: 'error',
      message: expect.stringContaining(failure.error),
    })
  })

  test('nobody answers in time', async () => {
    bridge.first = asks('code', CODE)
    const link = await start()
    await clock.advance(600_000)
    expect(view(link.id)).toMatchObject({ state: 'timeout', expires_at: null })
    await waitFor(() => bridge.calls.some(call => call.path === '/login/cancel/process'))
  })

  test('nobody scans for half an hour, whatever the bridge would still wait for', async () => {
    bridge.first = displays('code', 'code', 'ABCD')
    const link = await start()
    expect(link.expires_at).toBe('2026-04-27T10:01:30Z')
    await clock.advance(1_800_000)
    expect(view(link.id).state).toBe('timeout')
  })

  test('cancelled, and remembered for two minutes', async () => {
    bridge.first = displays('qr', 'qr', '2@x')
    const link = await start()
    const events: LinkEvent[] = []
    const { linkId } = linking.follow(IDENTITY.id, 'wa', event => void events.push(event))
    expect(linkId).toBe(link.id)
    linking.cancel(IDENTITY.id, link.id)
    expect(events).toEqual([{ type: 'error', code: 'cancelled', message: 'the link was cancelled' }])
    expect(() => linking.cancel(IDENTITY.id, link.id)).toThrow('has ended already')
    await waitFor(() => bridge.calls.some(call => call.path === '/login/cancel/process'))
    await clock.advance(119_000)
    expect(view(link.id).state).toBe('cancelled')
    await clock.advance(1_000)
    expect(() => view(link.id)).toThrow('there is no link')
  })

  test('a newer link takes its place', async () => {
    bridge.first = asks('code', CODE)
    const first = await start()
    const second = await start()
    expect(view(first.id).state).toBe('superseded')
    expect(view(second.id).state).toBe('waiting_for_input')
  })

  test('one that the bridge cannot start is told to who follows, unless another goes on', async () => {
    bridge.startRefusal = { status: 500, errcode: 'M_UNKNOWN', error: 'Internal error starting login' }
    const refusal = {
      code: 'bridge_unavailable',
      message: expect.stringContaining("can't reach its network"),
    }
    await expect(start()).rejects.toMatchObject(refusal)
    expect(linking.follow(IDENTITY.id, 'wa', () => undefined).latest).toMatchObject({
      type: 'error',
      code: 'failed',
      message: refusal.message,
    })
    bridge.startRefusal = null
    bridge.first = asks('code', CODE)
    const { id } = await start()
    bridge.startRefusal = { status: 500, errcode: 'M_UNKNOWN', error: 'Internal error starting login' }
    await expect(start()).rejects.toMatchObject(refusal)
    expect(linking.follow(IDENTITY.id, 'wa', () => undefined).linkId).toBe(id)
  })

  test('a login that is complete but not listed', async () => {
    bridge.first = complete('unheard-of')
    await expect(start()).rejects.toMatchObject({
      code: 'bridge_error',
      message: expect.stringContaining('not list'),
    })
  })
})

describe("another identity's link", () => {
  test('is not there', async () => {
    bridge.first = asks('code', CODE)
    const { id } = await start()
    expect(() => linking.get('id_2', id)).toThrow('there is no link')
    expect(() => linking.cancel('id_2', id)).toThrow('there is no link')
    await expect(linking.answer('id_2', id, { code: '1' })).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a device is linked again', () => {
  test('in place of its login, while the bridge has it', async () => {
    bridge.logins = [{ id: '237' }]
    bridge.first = displays('qr', 'qr', '2@x')
    await start({ deviceId: '237' })
    expect(bridge.calls[0]?.path).toBe('/login/start/qr?login_id=237')
  })

  test('by a new login, when the bridge has forgotten the old one', async () => {
    bridge.first = displays('qr', 'qr', '2@x')
    await start({ deviceId: '237' })
    expect(bridge.calls[0]?.path).toBe('/login/start/qr')
  })

  test('unless there is no such device', async () => {
    await expect(start({ deviceId: '49' })).rejects.toMatchObject({
      code: 'not_found',
      message: 'device_id: there is no wa device 49',
    })
  })
})

test('the flow: the one asked for, else by QR code, else the first', async () => {
  bridge.first = displays('qr', 'qr', '2@x')
  const flow = (id: string) => ({ id, name: id, description: '' })
  bridge.flows = [flow('phone'), flow('cookies')]
  expect((await start()).flow).toBe('phone')
  bridge.flows = [flow('phone'), flow('login-qr')]
  expect((await start()).flow).toBe('login-qr')
  expect((await start({ flow: 'phone' })).flow).toBe('phone')
  await expect(start({ flow: 'fax' })).rejects.toMatchObject({
    code: 'bad_request',
    message: 'flow: "fax" is unknown: expected one of phone, login-qr',
  })
})

describe('until when a link is good', () => {
  const inMs = (id: string) => Date.parse(view(id).expires_at ?? '') - clock.now()

  test('does not hang on what the machine’s clock says', async () => {
    clock.set(400 * 86_400_000)
    bridge.first = asks('code', CODE)
    const link = await start()
    expect(inMs(link.id)).toBe(600_000)
    clock.set(-86_400_000)
    expect(inMs(link.id)).toBe(600_000)
    await clock.advance(60_000)
    expect(inMs(link.id)).toBe(540_000)
  })

  test('is told in the same way though clocks count in milliseconds', async () => {
    bridge.first = asks('code', CODE)
    const link = await start()
    const before = view(link.id).expires_at
    clock.set(1)
    expect(view(link.id).expires_at).toBe(before)
    clock.set(-2)
    expect(view(link.id).expires_at).toBe(before)
  })

  test('of a code that is shown is no more than bridges give at least, and moves with each new one', async () => {
    const renewed = Promise.withResolvers<void>()
    bridge.first = displays('qr', 'qr', '1')
    bridge.outcomes.set('qr', async () => {
      await renewed.promise
      bridge.outcomes.delete('qr')
      return { next: displays('qr', 'qr', '2') }
    })
    const link = await start()
    expect(inMs(link.id)).toBe(20_000)
    await clock.advance(5_000)
    expect(inMs(link.id)).toBe(15_000)
    renewed.resolve()
    await waitFor(() => (view(link.id).step as { payload?: string }).payload === '2')
    // A bridge that renews its codes every five seconds may end the login five seconds after its
    // last one.
    expect(inMs(link.id)).toBe(5_000)
    await clock.advance(60_000)
    expect([view(link.id).state, inMs(link.id)]).toEqual(['waiting_for_scan', 0])
  })

  test('ends with the half hour that any login has', async () => {
    bridge.first = asks('code', CODE)
    bridge.outcomes.set('code', () => ({ status: 400, errcode: 'X', error: 'wrong', stands: true }))
    const link = await start()
    for (let minute = 0; minute < 27; minute += 9) {
      await clock.advance(9 * 60_000)
      await answer(link.id, { code: '1' }).catch(() => undefined)
    }
    expect(inMs(link.id)).toBe(3 * 60_000)
  })
})
