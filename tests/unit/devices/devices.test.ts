/** Devices kept in step with what the bridges say. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { removeSimulatedDevices } from '../../../src/app/sandbox-leftovers.ts'
import { BridgeStarting } from '../../../src/bridges/start-watch.ts'
import { type Device, events } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { DeviceEvent } from '../../../src/domain/events.ts'
import type { Bridge, BridgeContact, BridgeLogin, Bridges } from '../../../src/domain/ports.ts'
import type { StateReport } from '../../../src/domain/signals.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createDevices, type LinkedDevices } from '../../../src/modules/devices/devices.ts'
import { LINKED_PHONES } from '../../../src/sandbox/linked-phones.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let logins: BridgeLogin[]
let failure: GatewayError | undefined
/** Holds back the answers of the bridge: what it says is what it knew when it was asked. */
let gate: Promise<void> | undefined
/** Who the bridge says the account itself is. */
let self: BridgeContact
let asked: number
let forgotten: number
let trouble: string | null
let platforms: string[]
let loggedOut: string[]
let linked: Device[]
let awake: string[]
let nudges: number
let voided: number
let devices: LinkedDevices

const LOGIN: BridgeLogin = { id: '237', name: 'Amina', phone: '+237', stateEvent: 'CONNECTED', reason: null }
const LOST: BridgeLogin = {
  ...LOGIN,
  stateEvent: 'BAD_CREDENTIALS',
  reason: 'You were logged out from another device (wa-logged-out)',
  errorCode: 'wa-logged-out',
}
const DOWN = new GatewayError('bridge_unavailable', 'the wa bridge is down')

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  clock = new ManualClock()
  logins = [LOGIN]
  failure = undefined
  gate = undefined
  self = {
    id: '237',
    identifiers: [],
    matrixUserId: '@whatsapp_237:s',
    name: 'me',
    phone: null,
    roomId: null,
  }
  asked = 0
  forgotten = 0
  trouble = null
  platforms = ['wa']
  loggedOut = []
  linked = []
  awake = []
  nudges = 0
  db.signals.on('deliveries', () => nudges++)
  voided = 0
  db.signals.on('device-settled', deviceRowId => awake.push(deviceRowId))
  db.signals.on('queues-discarded', () => voided++)
  const bridge: Partial<Bridge> = {
    platform: 'wa',
    logins: async () => {
      asked++
      const answer = { logins, failure }
      await gate
      if (answer.failure) throw answer.failure
      return answer.logins
    },
    logout: async (_, loginId) => {
      if (failure) throw failure
      loggedOut.push(loginId)
      logins = logins.filter(login => login.id !== loginId)
    },
    forgetLogins: () => forgotten++,
    resolveIdentifier: async () => self,
  }
  const bridges: Bridges = {
    get platforms() {
      return platforms
    },
    forPlatform: platform => {
      if (platforms.includes(platform)) return bridge as Bridge
      throw new GatewayError('bad_request', `platform: "${platform}" is unknown`)
    },
    platformOfBot: async () => null,
    ownsUser: () => null,
  }
  devices = createDevices({
    repository: createDeviceRepository(db),
    bridges,
    matrixUserOf: async () => '@mg1:s',
    identityOf: async userId => (userId === '@mg1:s' ? 'id_1' : null),
    accountTrouble: () => trouble,
    contacts: { refresh: async device => linked.push(device) },
    phones: { note: async () => undefined },
    signals: db.signals,
    clock,
    logger: silentLogger,
  })
})
afterEach(() => db.destroy())

const pushed = (stateEvent: string, loginId: string | null = '237') => ({
  stateEvent,
  loginId,
  errorCode: null,
})
/** The wa bridge reports a state. */
const report = (matrixUserId: string | null, state: Omit<StateReport, 'matrixUserId'>) =>
  db.signals.emit('bridge-state', 'wa', { matrixUserId, ...state })
const changed = (matrixUserId: string | null) => db.signals.emit('account-changed', matrixUserId)
const listed = async () =>
  (await devices.list('id_1')).map(({ device_id, state, reason }) => [device_id, state, reason])
/** Asks as often as it takes to believe that a login is gone. */
async function untilBelieved() {
  for (let time = 0; time < 3; time++) {
    await devices.reconcile('id_1', 'wa')
    await clock.advance(5_000)
  }
}
const row = () => db.orm.query.devices.findFirst().sync() as Device
const deviceEvents = () =>
  db.orm
    .select()
    .from(events)
    .all()
    .map(stored => stored.payload as DeviceEvent)
const told = () => deviceEvents().map(event => event.event)

describe('a login that was asked for', () => {
  const HOUR_MS = 3_600_000

  test.each([
    ['what was sent since', 5 * 60_000, 5 * 60_000],
    ['no more than a day of it', 30 * HOUR_MS, 24 * HOUR_MS],
  ])('receives, however late it is noticed, %s', async (_, noticedAfterMs, receivesMs) => {
    await devices.awaitLogin('id_1', 'wa')
    await clock.advance(noticedAfterMs)
    await listed()
    expect(row()).toMatchObject({ linkedAt: clock.now(), receivesFrom: clock.now() - receivesMs })
  })

  test('receives what was sent since it was asked for last', async () => {
    await devices.awaitLogin('id_1', 'wa')
    await clock.advance(HOUR_MS)
    await devices.awaitLogin('id_1', 'wa')
    await clock.advance(1_000)
    await listed()
    expect(row().receivesFrom).toBe(clock.now() - 1_000)
  })

  test('is asked about at its bridge until it is there, and no longer than that', async () => {
    logins = []
    await devices.awaitLogin('id_1', 'wa')
    const repository = createDeviceRepository(db)
    const asked = async () => [
      await repository.identitiesWith('wa', '', 9),
      await repository.identitiesWith('signal', '', 9),
    ]
    expect(await asked()).toEqual([['id_1'], []])
    logins = [LOGIN]
    await listed()
    await devices.remove('id_1', '237', 'wa')
    expect(await asked()).toEqual([[], []])
  })

  test('that nobody went on with is forgotten', async () => {
    await devices.awaitLogin('id_1', 'wa')
    await clock.advance(25 * HOUR_MS)
    await devices.awaitLogin('id_1', 'signal')
    expect(await createDeviceRepository(db).identitiesWith('wa', '', 9)).toEqual([])
  })
})

test('a new login is a device, with the Matrix user that speaks for its own phone', async () => {
  expect(await devices.list('id_1')).toMatchObject([
    {
      platform: 'wa',
      device_id: '237',
      state: 'connected',
      name: 'Amina',
      phone: '237',
      linked_at: '2026-04-27T10:00:00Z',
      restricted: null,
    },
  ])
  expect(linked.map(device => device.loginId)).toEqual(['237'])
  expect((await devices.linked('id_1'))[0]?.ghostUserId).toBe('@whatsapp_237:s')
})

test('a device whose own hidden id is all that was stored learns how ghosts are named after numbers', async () => {
  insertDevice(db, { ghostUserId: '@whatsapp_lid-9:s' })
  self = { ...self, id: 'lid-9', matrixUserId: '@whatsapp_lid-9:s', phone: '237' }
  await devices.reconcile('id_1', 'wa')
  expect(row().ghostUserId).toBe('@whatsapp_237:s')
})

test('where the login id is no phone number, the phone still is the device_id', async () => {
  logins = [{ ...LOGIN, id: 'a-uuid' }]
  await devices.list('id_1')
  for (const address of ['237', '+237', '+2 3-7', 'a-uuid']) {
    expect((await devices.find('id_1', address, 'wa'))?.loginId).toBe('a-uuid')
  }
  expect(await devices.find('id_1', '238', 'wa')).toBeNull()
  expect(await devices.find('id_1', '237', 'signal')).toBeNull()
  expect(await devices.find('id_2', '237', 'wa')).toBeNull()
})

describe('what the bridge says', () => {
  test.each([
    ['RUNNING', 'connected'],
    ['CONNECTING', 'connecting'],
    ['', 'connecting'],
    ['TRANSIENT_DISCONNECT', 'disconnected'],
    ['UNKNOWN_ERROR', 'error'],
    [null, 'connected'],
  ])('%p is %s', async (stateEvent, state) => {
    logins = [{ ...LOGIN, stateEvent, reason: 'why' }]
    expect(await listed()).toEqual([['237', state, 'why']] as never)
  })

  test('without a reason there still is one to read', async () => {
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT' }]
    expect(await listed()).toEqual([['237', 'disconnected', 'the bridge has no connection to the network']])
  })

  test('a ban for some hours is no logout', async () => {
    const reason = 'You are banned for 6 hours (wa-temporary-ban)'
    logins = [{ ...LOGIN, stateEvent: 'BAD_CREDENTIALS', reason, errorCode: 'wa-temporary-ban' }]
    expect(await listed()).toEqual([['237', 'error', reason]])
  })

  test('a phone that nobody has opened for long is a warning: its device sends and receives', async () => {
    const reason = "Your phone hasn't been seen in over 12 days. … (wa-phone-offline)"
    await listed()
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT', reason, errorCode: 'wa-phone-offline' }]
    expect(await listed()).toEqual([['237', 'connected', reason]])
    expect(told()).toEqual(['device.connected'])
    logins = [LOGIN]
    expect(await listed()).toEqual([['237', 'connected', null]])
    logins = [{ ...LOGIN, stateEvent: 'BAD_CREDENTIALS', reason, errorCode: 'wa-phone-offline' }]
    expect(await listed()).toEqual([['237', 'logged_out', reason]])
  })

  test('since is when the state began, whatever becomes of its reason', async () => {
    await listed()
    await clock.advance(60_000)
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT', reason: 'no network' }]
    const [first] = await devices.list('id_1')
    await clock.advance(60_000)
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT', reason: 'the phone is off' }]
    const [second] = await devices.list('id_1')
    expect(first).toMatchObject({ since: '2026-04-27T10:01:00Z', reason: 'no network' })
    expect(second).toMatchObject({ since: '2026-04-27T10:01:00Z', reason: 'the phone is off' })
    expect(told()).toEqual(['device.connected', 'device.disconnected'])
  })

  test('counts for nothing while the Matrix account does not work', async () => {
    await listed()
    trouble = 'the access token was revoked'
    expect(await listed()).toEqual([['237', 'error', 'the access token was revoked']])
    logins = [LOST]
    expect((await listed())[0]?.[1]).toBe('logged_out')
    logins = [LOGIN]
    trouble = null
    expect(await listed()).toEqual([['237', 'connected', null]])
  })
})

describe('a login that its bridge leaves out', () => {
  const stateAfter = async (...waitsMs: number[]) => {
    const states = []
    for (const waitMs of waitsMs) {
      await clock.advance(waitMs)
      await listed()
      states.push(row().state)
    }
    return states
  }

  test('is gone when three answers over ten seconds say so', async () => {
    await listed()
    logins = []
    expect(await stateAfter(0, 2_000, 7_999)).toEqual(['connected', 'connected', 'connected'])
    expect(await stateAfter(1)).toEqual(['logged_out'])
    expect(row().stateReason).toBe('the bridge no longer has this login')
  })

  test('is said to be linked with another token, where another has it now', async () => {
    await listed()
    const id = insertIdentity(db, 'id_2', '@mg2:s')
    insertDevice(db, { id: 'dev_other', identityId: id })
    logins = []
    expect(await stateAfter(0, 2_000, 8_000)).toEqual(['connected', 'connected', 'logged_out'])
    expect(row().stateReason).toBe('it was linked with another token since')
  })

  test('is not gone by two answers, however far apart', async () => {
    await listed()
    logins = []
    expect(await stateAfter(0, 60_000)).toEqual(['connected', 'connected'])
    expect(await stateAfter(1_000)).toEqual(['logged_out'])
  })

  test('and lists again meanwhile was never gone: its link is the same, and nothing is told', async () => {
    await listed()
    const { linkedAt } = row()
    logins = []
    await stateAfter(0, 4_000, 4_000)
    logins = [LOGIN]
    await stateAfter(4_000)
    logins = []
    expect(await stateAfter(4_000, 4_000)).toEqual(['connected', 'connected'])
    expect([row().linkedAt, told(), linked.length]).toEqual([linkedAt, ['device.connected'], 1])
  })

  test('is asked about anew: a remembered answer would say the same', async () => {
    await listed()
    logins = []
    await stateAfter(0, 4_000, 8_000)
    expect(forgotten).toBe(2)
  })

  test('around an outage begins anew: the bridge may have been restarted', async () => {
    await listed()
    logins = []
    await stateAfter(0, 6_000)
    failure = new GatewayError('bridge_unavailable', 'gone')
    await stateAfter(2_000)
    failure = undefined
    expect(await stateAfter(3_000, 6_000)).toEqual(['disconnected', 'disconnected'])
  })

  test.each([
    ['LOGGED_OUT', '237'],
    ['BAD_CREDENTIALS', '237'],
    ['LOGGED_OUT', null],
  ])('is gone at once when the bridge says %s', async (event, loginId) => {
    await listed()
    logins = []
    report('@mg1:s', pushed(event, loginId))
    await settled()
    expect(row().state).toBe('logged_out')
  })

  test.each([
    ['of another login', pushed('LOGGED_OUT', '999')],
    ['that the connection is lost', pushed('TRANSIENT_DISCONNECT')],
    ['of a ban that the login outlives', { ...pushed('BAD_CREDENTIALS'), errorCode: 'wa-temporary-ban' }],
  ])('is not gone when the bridge says something %s', async (_, state) => {
    await listed()
    logins = []
    report('@mg1:s', state)
    await settled()
    expect(row().state).toBe('connected')
  })

  test('is not gone by what the bridge said, without a name, of one that went before', async () => {
    await listed()
    logins = []
    report('@mg1:s', pushed('LOGGED_OUT', null))
    await settled()
    logins = [{ ...LOGIN, id: '238', phone: '+238' }]
    await devices.reconcile('id_1', 'wa')
    logins = []
    await devices.reconcile('id_1', 'wa')
    expect(await devices.linked('id_1')).toMatchObject([{ deviceId: '238', state: 'connected' }])
  })

  test('was logged out once, and is here again: what was said then is forgotten', async () => {
    await listed()
    report('@mg1:s', pushed('LOGGED_OUT'))
    report('@mg1:s', pushed('CONNECTED'))
    await settled()
    logins = []
    expect(await stateAfter(1_000)).toEqual(['connected'])
  })
})

test('a bridge that has just started leaves the devices as they are', async () => {
  await listed()
  failure = new BridgeStarting('wa')
  expect(await listed()).toEqual([['237', 'connected', null]])
  failure = new GatewayError('bridge_unavailable', 'gone')
  await listed()
  failure = new BridgeStarting('wa')
  expect(await listed()).toEqual([['237', 'disconnected', 'gone']])
})

describe('a login that ended', () => {
  test.each<[string, BridgeLogin[], string]>([
    ['is gone at the bridge', [], 'the bridge no longer has this login'],
    ['has lost its credentials', [LOST], LOST.reason as string],
  ])('because it %s stays in the list; linked again it is the same device', async (_, after, reason) => {
    await listed()
    const before = row()
    logins = after
    await clock.advance(1_000)
    await untilBelieved()
    expect(await listed()).toEqual([['237', 'logged_out', reason]])
    const lostAt = row().stateSince
    expect(await devices.linked('id_1')).toEqual([])
    expect(await devices.find('id_1', '237', 'wa')).toMatchObject({ id: before.id, state: 'logged_out' })
    await clock.advance(60_000)
    expect(row().stateSince).toBe(lostAt)
    logins = [LOGIN]
    expect(await listed()).toEqual([['237', 'connected', null]])
    expect(row()).toMatchObject({ id: before.id, linkedAt: clock.now(), createdAt: before.createdAt })
    expect(linked).toHaveLength(2)
    expect(awake).toHaveLength(2)
    expect(told()).toEqual(['device.connected', 'device.logged_out', 'device.connected'])
  })

  test('receives what it missed when it is linked again, but not more than a day of it', async () => {
    await listed()
    logins = [LOST]
    await listed()
    const lostAt = clock.now()
    await clock.advance(3_600_000)
    logins = [LOGIN]
    await listed()
    expect(row().receivesFrom).toBe(lostAt - 5_000)
    logins = [LOST]
    await listed()
    await clock.advance(90 * 24 * 3_600_000)
    logins = [LOGIN]
    await listed()
    expect(row().receivesFrom).toBe(clock.now() - 24 * 3_600_000)
  })

  test('before we ever heard of it is no device', async () => {
    logins = [LOST]
    expect(await listed()).toEqual([])
  })
})

describe('the list', () => {
  test('does without asking a bridge that the probe has asked just now', async () => {
    await devices.list('id_1')
    expect(asked).toBe(1)
    await devices.reconcile('id_1', 'wa')
    devices.noteProbed('id_1', 'wa')
    expect(await devices.list('id_1')).toMatchObject([{ state: 'connected' }])
    expect(asked).toBe(2)
    await clock.advance(3_000)
    await devices.list('id_1')
    expect(asked).toBe(3)
  })

  test('asks again after something was done with the devices', async () => {
    await devices.list('id_1')
    devices.noteProbed('id_1', 'wa')
    await devices.remove('id_1', '237', 'wa')
    await devices.list('id_1')
    expect(asked).toBe(2)
  })

  test('asks bridges with which one has no device every few seconds at most', async () => {
    logins = []
    await devices.list('id_1')
    await devices.list('id_1')
    expect(asked).toBe(1)
  })
})

test('a bridge that can not be reached leaves its devices in the list, disconnected', async () => {
  await listed()
  failure = DOWN
  expect(await listed()).toEqual([['237', 'disconnected', 'the wa bridge is down']])
  failure = undefined
  expect(await listed()).toEqual([['237', 'connected', null]])
})

describe('events', () => {
  test('tell of each change of state, as the list shows it, to the webhooks that ask', async () => {
    insertWebhook(db, { id: 1 })
    insertWebhook(db, { id: 2, url: 'http://b', events: ['device.disconnected'] })
    insertWebhook(db, { id: 3, url: 'http://c', events: ['*'] })
    await listed()
    await clock.advance(60_000)
    failure = DOWN
    const [shown] = await devices.list('id_1')
    // The list's id is for metrics and logs, which webhooks don't read.
    expect({ ...deviceEvents()[1], id: shown?.id }).toEqual({
      event: 'device.disconnected',
      timestamp: '2026-04-27T10:01:00Z',
      ...(shown as NonNullable<typeof shown>),
    })
    const deliveries = db.orm.query.deliveries.findMany().sync()
    expect(deliveries.map(({ webhookId, lane }) => [webhookId, lane])).toEqual([
      [3, `id_1/3/device/${row().id}`],
      [2, `id_1/2/device/${row().id}`],
      [3, `id_1/3/device/${row().id}`],
    ])
    expect(nudges).toBe(2)
  })

  test('say nothing of a state that is passed through, nor of one that stays', async () => {
    logins = [{ ...LOGIN, stateEvent: 'CONNECTING' }]
    await listed()
    expect([told(), awake]).toEqual([[], []])
    logins = [LOGIN]
    await listed()
    await listed()
    expect(told()).toEqual(['device.connected'])
    logins = [{ ...LOGIN, stateEvent: 'UNKNOWN_ERROR' }]
    await listed()
    expect(told()).toEqual(['device.connected', 'device.disconnected'])
    expect(deviceEvents()[1]?.state).toBe('error')
  })

  describe('of a restriction', () => {
    const HOUR_MS = 3_600_000
    const restricted = (inMs: number): BridgeLogin => ({ ...LOGIN, restrictedUntil: clock.now() + inMs })
    const shown = async () => (await devices.list('id_1'))[0]?.restricted
    const restrictions = () => deviceEvents().filter(({ event }) => event === 'device.restricted')

    test('tell when it begins and until when, as the list does; a webhook without events isn’t told', async () => {
      insertWebhook(db)
      await listed()
      logins = [restricted(HOUR_MS)]
      const until = { until: '2026-04-27T11:00:00Z', what: 'new_chats' }
      expect(await shown()).toEqual(until as never)
      expect(await shown()).toEqual(until as never)
      expect(restrictions()).toMatchObject([{ state: 'connected', restricted: until }])
      expect(db.orm.query.deliveries.findMany().sync()).toEqual([])
      // A device that can do less has nothing to go on with.
      expect(awake).toEqual([row().id])
    })

    test('tell of another end, and of an early one; what waits is tried then', async () => {
      logins = [restricted(2 * HOUR_MS)]
      await listed()
      logins = [restricted(HOUR_MS)]
      await listed()
      logins = [{ ...LOGIN, restrictedUntil: null }]
      await listed()
      expect(restrictions().map(({ restricted }) => restricted?.until ?? null)).toEqual([
        '2026-04-27T12:00:00Z',
        '2026-04-27T11:00:00Z',
        null,
      ])
      expect(awake).toHaveLength(3)
    })

    test('say nothing when it ends by itself, nor of one from the past', async () => {
      logins = [restricted(HOUR_MS)]
      await listed()
      await clock.advance(HOUR_MS)
      expect(await shown()).toBeNull()
      logins = [{ ...LOGIN, restrictedUntil: clock.now() - HOUR_MS }]
      expect(await shown()).toBeNull()
      expect(restrictions()).toHaveLength(1)
    })

    test('it stays while the bridge says nothing of it', async () => {
      logins = [restricted(HOUR_MS)]
      await listed()
      logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT' }]
      expect(await shown()).toMatchObject({ what: 'new_chats' })
      expect(restrictions()).toHaveLength(1)
    })
  })

  test('a state whose event cannot be stored is not stored either', async () => {
    await listed()
    insertWebhook(db, { events: ['*'] })
    db.connection.run('ALTER TABLE deliveries RENAME TO gone')
    logins = [LOST]
    await expect(devices.reconcile('id_1', 'wa')).rejects.toThrow()
    expect(row().state).toBe('connected')
    db.connection.run('ALTER TABLE gone RENAME TO deliveries')
    await devices.reconcile('id_1', 'wa')
    expect([row().state, told()]).toEqual(['logged_out', ['device.connected', 'device.logged_out']])
  })
})

describe('a bridge that tells of a change', () => {
  test('is asked at once, about that user alone, and once for what it tells together', async () => {
    await listed()
    asked = 0
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT' }]
    changed('@mg1:s')
    changed('@mg1:s')
    changed('@stranger:s')
    changed(null)
    report(null, pushed('TRANSIENT_DISCONNECT', null))
    await settled()
    expect([row().state, asked]).toEqual(['disconnected', 1])
  })

  test('while it is being asked is asked again: the answer under way may be older', async () => {
    await listed()
    const open = Promise.withResolvers<void>()
    gate = open.promise
    const first = devices.reconcile('id_1', 'wa')
    await settled()
    logins = [LOST]
    changed('@mg1:s')
    open.resolve()
    await first
    await settled()
    expect(row().state).toBe('logged_out')
  })
})

test('an answer from before the bridge was found to be gone changes nothing', async () => {
  await listed()
  const open = Promise.withResolvers<void>()
  gate = open.promise
  const late = devices.reconcile('id_1', 'wa')
  await settled()
  await devices.disconnectAll('wa', 'the wa bridge is down')
  open.resolve()
  await late
  expect(row()).toMatchObject({ state: 'disconnected', stateReason: 'the wa bridge is down' })
})

describe('removing', () => {
  beforeEach(() => devices.list('id_1').then(() => undefined))

  test('logs out at the bridge and takes it off the list', async () => {
    await devices.remove('id_1', '+237', 'wa')
    expect(loggedOut).toEqual(['237'])
    expect(await devices.list('id_1')).toEqual([])
    expect(await devices.find('id_1', '237', 'wa')).toBeNull()
    expect(told()).toEqual(['device.connected', 'device.logged_out'])
    expect(deviceEvents()[1]).toMatchObject({ state: 'logged_out', reason: 'deleted by the API' })
    expect(voided).toBe(1)
  })

  test('linked anew it is the same device, and receives from then on', async () => {
    const before = row()
    await devices.remove('id_1', '237', 'wa')
    await clock.advance(60_000)
    logins = [LOGIN]
    expect(await listed()).toEqual([['237', 'connected', null]])
    expect(row()).toMatchObject({ id: before.id, linkedAt: clock.now(), receivesFrom: null })
  })

  test('linked anew by a link that was asked for, it receives what was sent since then', async () => {
    await devices.remove('id_1', '237', 'wa')
    await clock.advance(60_000)
    await devices.awaitLogin('id_1', 'wa')
    const askedAt = clock.now()
    await clock.advance(60_000)
    logins = [LOGIN]
    await listed()
    expect(row()).toMatchObject({ linkedAt: clock.now(), receivesFrom: askedAt })
  })

  test('what the bridge still says of the lost login does not bring it back', async () => {
    await devices.remove('id_1', '237', 'wa')
    logins = [LOST]
    expect(await listed()).toEqual([])
  })

  test('an answer that was under way does not bring it back', async () => {
    const open = Promise.withResolvers<void>()
    gate = open.promise
    const late = devices.reconcile('id_1', 'wa')
    const removal = devices.remove('id_1', '237', 'wa')
    await settled()
    open.resolve()
    await Promise.all([late, removal])
    expect(await devices.list('id_1')).toEqual([])
  })

  test('changes nothing when the bridge fails', async () => {
    failure = DOWN
    await expect(devices.remove('id_1', '237', 'wa')).rejects.toMatchObject({ code: 'bridge_unavailable' })
    expect(await devices.linked('id_1')).toHaveLength(1)
    expect(voided).toBe(0)
  })

  test('is done when the bridge knows the login no more', async () => {
    failure = new GatewayError('not_found', 'no such login')
    await devices.remove('id_1', '237', 'wa')
    expect(await devices.linked('id_1')).toEqual([])
  })

  test.each<[string, () => unknown]>([
    ['whatever the bridge says', () => (failure = DOWN)],
    ['when its bridge was taken away', () => (platforms = [])],
  ])('one that was logged out goes %s', async (_, happens) => {
    logins = [LOST]
    await listed()
    happens()
    await devices.remove('id_1', '237', 'wa')
    failure = undefined
    expect(await devices.list('id_1')).toEqual([])
    expect(told()).toEqual(['device.connected', 'device.logged_out'])
  })

  test('what is not there', async () => {
    await expect(devices.remove('id_1', '999', 'wa')).rejects.toMatchObject({ code: 'not_found' })
    await expect(devices.remove('id_2', '237', 'wa')).rejects.toMatchObject({ code: 'not_found' })
    await expect(devices.remove('id_1', '237', 'pigeon')).rejects.toMatchObject({ code: 'bad_request' })
  })
})

describe('one device', () => {
  beforeEach(() => devices.list('id_1').then(() => undefined))

  const signal = () =>
    insertDevice(db, { id: 'dev_signal', platform: 'signal', loginId: '237', deviceId: '237', phone: '237' })

  test('is shown as the list has it, by any of its addresses', async () => {
    for (const address of ['237', '+237'])
      expect(await devices.show('id_1', address, null)).toEqual((await devices.list('id_1'))[0] as never)
  })

  test('is shown with what its bridge says now', async () => {
    await clock.advance(60_000)
    logins = [{ ...LOGIN, stateEvent: 'TRANSIENT_DISCONNECT' }]
    expect(await devices.show('id_1', '237', 'wa')).toMatchObject({ state: 'disconnected' })
  })

  test('keeps the name it was given, whatever the network calls it', async () => {
    expect(await devices.rename('id_1', '237', { platform: null, name: 'Support' })).toMatchObject({
      device_id: '237',
      name: 'Support',
    })
    logins = [{ ...LOGIN, name: 'Amina B.' }]
    expect(await devices.list('id_1')).toMatchObject([{ name: 'Support' }])
    logins = [LOST]
    await devices.list('id_1')
    expect(deviceEvents().at(-1)).toMatchObject({ event: 'device.logged_out', name: 'Support' })
    logins = [{ ...LOGIN, name: 'Amina B.' }]
    expect(await devices.list('id_1')).toMatchObject([{ name: 'Support' }])
    const back = await devices.rename('id_1', '237', { platform: 'wa', name: null })
    expect(back.name).toBe('Amina B.')
  })

  test('keeps no name whose answer is not kept', async () => {
    const record = () => Promise.reject(new Error('disk'))
    const renamed = devices.rename('id_1', '237', { platform: null, name: 'Support' }, record)
    await expect(renamed).rejects.toThrow('disk')
    expect(row().ownName).toBeNull()
  })

  test('of two platforms with the same id has to be told apart', async () => {
    signal()
    const says = /several platforms.*\(signal, wa\)/
    await expect(devices.show('id_1', '237', null)).rejects.toThrow(says)
    await expect(devices.rename('id_1', '237', { platform: null, name: 'x' })).rejects.toThrow(says)
    await expect(devices.removeOne('id_1', '237', null)).rejects.toMatchObject({ code: 'conflict' })
    expect(await devices.show('id_1', '237', 'signal')).toMatchObject({ id: 'dev_signal' })
    await devices.removeOne('id_1', '237', 'signal')
    expect(await devices.show('id_1', '237', null)).toMatchObject({ platform: 'wa' })
  })

  test('that is not there', async () => {
    const asked = [
      () => devices.show('id_1', '999', null),
      () => devices.show('id_2', '237', null),
      () => devices.rename('id_1', '237', { platform: 'signal', name: 'x' }),
      () => devices.removeOne('id_1', '999', 'wa'),
    ]
    for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a real bridge in the place of the sandbox', () => {
  const takenUp = (createdAt: number) =>
    removeSimulatedDevices({ platform: 'wa', createdAt }, db, devices, silentLogger)

  beforeEach(async () => {
    db.connection.run("INSERT INTO sandbox_login VALUES ('wa', '237', '237', '@mg1:s', 1)")
    await devices.reconcile('id_1', 'wa')
  })

  test('removes the device of a simulated phone', async () => {
    await takenUp(clock.now() + 1)
    expect(await devices.linked('id_1')).toEqual([])
    expect(told()).toEqual(['device.connected', 'device.logged_out'])
  })

  test('leaves the device alone whose number was linked for real since', async () => {
    await takenUp(clock.now())
    expect(await devices.linked('id_1')).toHaveLength(1)
    expect([told(), voided]).toEqual([['device.connected'], 0])
    expect(db.connection.query(LINKED_PHONES).all()).toEqual([])
  })
})
