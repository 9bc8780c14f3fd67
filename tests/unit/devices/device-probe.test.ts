/**
 * The probe: every device within seconds, at a bounded rate, and no bridge on account of another.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, BridgeLogin, Bridges } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createDeviceProbe } from '../../../src/modules/devices/device-probe.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createDevices } from '../../../src/modules/devices/devices.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const DOWN = new GatewayError('bridge_unavailable', "the wa bridge can't be reached (ECONNREFUSED)")

let db: TempDb
let clock: ManualClock
let platforms: string[]
/** A platform's bridge, when it is asked about a user. */
let answers: Record<string, (userId: string) => Promise<BridgeLogin[]>>
/** Who was asked about, in order. */
let asked: { platform: string; userId: string; at: number }[]
let stop: () => Promise<void>

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  platforms = ['wa', 'signal']
  asked = []
  answers = {}
  for (const platform of platforms) answers[platform] = async userId => [loginOf(userId)]
  stop = async () => undefined
})
afterEach(async () => {
  await stop()
  await db.destroy()
})

const loginOf = (userId: string, stateEvent = 'CONNECTED'): BridgeLogin => ({
  id: userId.replace(/\D/g, ''),
  name: 'x',
  phone: null,
  stateEvent,
  reason: null,
})

function insert(platform: string, number: number) {
  const id = `id_${String(number).padStart(4, '0')}`
  insertIdentity(db, id, `@mg${number}:s`)
  const login = { loginId: String(number), deviceId: String(number), phone: null, name: 'x' }
  insertDevice(db, { id: `dev_${number}`, identityId: id, platform, ...login })
}

async function start() {
  const repository = createDeviceRepository(db)
  const bridges: Bridges = {
    get platforms() {
      return platforms
    },
    forPlatform: platform =>
      ({
        platform,
        logins: userId => {
          asked.push({ platform, userId, at: clock.now() })
          return answers[platform]?.(userId) ?? Promise.reject(new Error('no such bridge'))
        },
      }) as Partial<Bridge> as Bridge,
    platformOfBot: async () => null,
    ownsUser: () => null,
  }
  const devices = createDevices({
    repository,
    bridges,
    matrixUserOf: async identityId => `@mg${Number(identityId.slice(3))}:s`,
    identityOf: async () => null,
    accountTrouble: () => null,
    contacts: { refresh: async () => undefined },
    phones: { note: async () => undefined },
    signals: db.signals,
    clock,
    logger: silentLogger,
  })
  const shared = { devices, repository, bridges, clock, logger: silentLogger }
  const probe = createDeviceProbe({ ...shared, signals: db.signals })
  const controller = new AbortController()
  const running = probe.run(controller.signal)
  stop = async () => {
    controller.abort()
    await running
  }
  await idle()
}

async function idle() {
  for (let turn = 0; turn < 10; turn++) await settled()
}
async function pass(ms: number) {
  for (let step = 0; step < ms; step += 500) {
    await clock.advance(500)
    await idle()
  }
}
const stateOf = (number: number) =>
  db.orm.query.devices
    .findMany()
    .sync()
    .find(device => device.id === `dev_${number}`)
const askedSince = (at: number, platform = 'wa') =>
  asked.filter(ask => ask.platform === platform && ask.at >= at).map(ask => ask.userId)

test('a change that a bridge does not tell of is known within five seconds, and since then', async () => {
  insert('wa', 1)
  await start()
  expect(stateOf(1)?.state).toBe('connected')
  answers.wa = async userId => [loginOf(userId, 'TRANSIENT_DISCONNECT')]
  const changedAt = clock.now()
  await pass(4_500)
  expect(stateOf(1)?.state).toBe('disconnected')
  expect((stateOf(1)?.stateSince ?? 0) - changedAt).toBeLessThanOrEqual(5_000)
})

test('a bridge that is gone is noticed by the first probe that fails, for all of its devices; and that it is back', async () => {
  for (let number = 1; number <= 300; number++) insert('wa', number)
  insert('signal', 301)
  await start()
  answers.wa = () => Promise.reject(DOWN)
  const gone = clock.now() + 1
  await pass(2_500)
  const states = db.orm.query.devices
    .findMany()
    .sync()
    .filter(device => device.platform === 'wa')
  expect(new Set(states.map(device => `${device.state}: ${device.stateReason}`))).toEqual(
    new Set([`disconnected: ${DOWN.message}`]),
  )
  // A second one was asked whether it is the bridge; the others needn't be.
  expect(askedSince(gone)).toHaveLength(2)
  expect(stateOf(301)?.state).toBe('connected')

  answers.wa = async userId => [loginOf(userId)]
  await pass(6_500)
  const back = db.orm.query.devices.findMany().sync()
  expect(back.filter(device => device.state !== 'connected')).toEqual([])
})

test('what has to do with one identity alone disconnects that one', async () => {
  for (const number of [1, 2, 3]) insert('wa', number)
  answers.wa = async userId => {
    if (userId === '@mg1:s') throw new GatewayError('bridge_unavailable', 'the wa bridge failed: M_UNKNOWN')
    return [loginOf(userId)]
  }
  await start()
  expect([1, 2, 3].map(number => stateOf(number)?.state)).toEqual(['disconnected', 'connected', 'connected'])
})

test('with thousands of devices it takes them in turn, at a bounded rate', async () => {
  for (let number = 1; number <= 250; number++) insert('wa', number)
  await start()
  expect(asked).toHaveLength(100)
  await pass(4_000)
  expect(asked).toHaveLength(300)
  expect(new Set(asked.map(ask => ask.userId)).size).toBe(250)
})

test('a bridge that reports changes by itself is asked about fewer devices at a time', async () => {
  for (let number = 1; number <= 25; number++) insert('wa', number)
  await start()
  expect(asked).toHaveLength(25)
  const report = { matrixUserId: null, loginId: null, stateEvent: 'RUNNING', errorCode: null }
  db.signals.emit('bridge-state', 'wa', report)
  const from = clock.now() + 1
  await pass(2_000)
  expect(askedSince(from, 'wa')).toHaveLength(10)
  await pass(4_000)
  expect(new Set(askedSince(from, 'wa')).size).toBe(25)
})

describe('a bridge that hangs', () => {
  test('delays no other, counts as disconnected after a while, and is believed when it answers', async () => {
    insert('wa', 1)
    insert('signal', 2)
    const open = Promise.withResolvers<void>()
    answers.wa = async userId => {
      await open.promise
      return [loginOf(userId)]
    }
    await start()
    const from = clock.now()
    await pass(6_500)
    expect(askedSince(from, 'signal').length).toBeGreaterThanOrEqual(3)
    expect(stateOf(1)).toMatchObject({
      state: 'disconnected',
      stateReason: "the wa bridge didn't answer within 5 s",
    })
    open.resolve()
    await idle()
    expect(stateOf(1)?.state).toBe('connected')
  })

  test('does not hold up the end of the process', async () => {
    insert('wa', 1)
    answers.wa = () => new Promise(() => undefined)
    await start()
    await stop()
    stop = async () => undefined
    expect(stateOf(1)?.state).toBe('connected')
  })
})

test('devices whose bridge was taken away are disconnected, and asked about again when there is one', async () => {
  insert('wa', 1)
  platforms = ['signal']
  await start()
  expect(stateOf(1)).toMatchObject({ state: 'disconnected', stateReason: 'no bridge is configured for wa' })
  platforms = ['signal', 'wa']
  await pass(2_000)
  expect(stateOf(1)?.state).toBe('connected')
})

test('one that was deleted is not asked about, one that was logged out is', async () => {
  insert('wa', 1)
  insert('wa', 2)
  db.connection.run("UPDATE devices SET state = 'logged_out', removed_at = 1 WHERE id = 'dev_1'")
  db.connection.run("UPDATE devices SET state = 'logged_out' WHERE id = 'dev_2'")
  await start()
  expect(askedSince(0)).toEqual(['@mg2:s'])
})
