/** Devices kept in step with what the bridges say. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Device } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, BridgeLogin, Bridges } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createDevices, type LinkedDevices } from '../../../src/modules/devices/devices.ts'
import { createDeviceRepository } from '../../../src/modules/devices/repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let logins: BridgeLogin[]
let failure: GatewayError | undefined
let loggedOut: string[]
let linked: Device[]
let devices: LinkedDevices

const LOGIN: BridgeLogin = { id: '237', name: 'Amina', phone: '+237', stateEvent: 'CONNECTED', reason: null }

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  clock = new ManualClock()
  logins = [LOGIN]
  failure = undefined
  loggedOut = []
  linked = []
  const bridge: Partial<Bridge> = {
    platform: 'wa',
    logins: async () => {
      if (failure) throw failure
      return logins
    },
    logout: async (_, loginId) => {
      if (failure) throw failure
      loggedOut.push(loginId)
    },
    resolveIdentifier: async () => ({
      matrixUserId: '@whatsapp_237:s',
      name: 'me',
      phone: null,
      roomId: null,
    }),
  }
  const bridges: Bridges = {
    platforms: ['wa'],
    forPlatform: () => bridge as Bridge,
    platformOfBot: async () => null,
  }
  devices = createDevices({
    repository: createDeviceRepository(db),
    bridges,
    matrixUserOf: async () => '@mg1:s',
    onLinked: device => linked.push(device),
    clock,
    logger: silentLogger,
  })
})
afterEach(() => db.destroy())

const listed = async () =>
  (await devices.list('id_1')).map(({ device_id, state, reason }) => [device_id, state, reason])

test('a new login is a device, with the Matrix user that speaks for its own phone', async () => {
  expect(await devices.list('id_1')).toMatchObject([
    {
      platform: 'wa',
      device_id: '237',
      state: 'connected',
      name: 'Amina',
      phone: '237',
      linked_at: '2026-04-27T10:00:00Z',
    },
  ])
  expect(linked.map(device => device.loginId)).toEqual(['237'])
  expect((await devices.linked('id_1'))[0]?.ghostUserId).toBe('@whatsapp_237:s')
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

test.each([
  ['RUNNING', 'connected'],
  ['CONNECTING', 'connecting'],
  ['TRANSIENT_DISCONNECT', 'disconnected'],
  ['UNKNOWN_ERROR', 'error'],
  [null, 'connected'],
])('the bridge state %s is %s', async (stateEvent, state) => {
  logins = [{ ...LOGIN, stateEvent, reason: 'why' }]
  expect(await listed()).toEqual([['237', state, 'why']] as never)
})

describe('a login that ended', () => {
  test.each([
    ['is gone at the bridge', []],
    ['has lost its credentials', [{ ...LOGIN, stateEvent: 'BAD_CREDENTIALS' }]],
  ])('because it %s is no longer a device; linked again it is the same one', async (_, after) => {
    await listed()
    const [before] = await devices.linked('id_1')
    logins = after
    expect(await listed()).toEqual([])
    expect(await devices.find('id_1', '237', 'wa')).toBeNull()
    await clock.advance(60_000)
    logins = [LOGIN]
    expect(await listed()).toEqual([['237', 'connected', null]])
    const [again] = await devices.linked('id_1')
    expect(again?.id).toBe(before?.id as string)
    expect(again?.linkedAt).toBe(clock.now())
    expect(linked).toHaveLength(2)
  })
})

test('a bridge that can not be reached leaves its devices in the list, disconnected', async () => {
  await listed()
  failure = new GatewayError('bridge_unavailable', 'the wa bridge is down')
  expect(await listed()).toEqual([['237', 'disconnected', 'the wa bridge is down']])
  failure = undefined
  expect(await listed()).toEqual([['237', 'connected', null]])
})

describe('removing', () => {
  beforeEach(() => devices.list('id_1').then(() => undefined))

  test('logs out at the bridge and forgets', async () => {
    await devices.remove('id_1', '+237', 'wa')
    expect(loggedOut).toEqual(['237'])
    expect(await devices.linked('id_1')).toEqual([])
  })

  test('changes nothing when the bridge fails', async () => {
    failure = new GatewayError('bridge_unavailable', 'down')
    await expect(devices.remove('id_1', '237', 'wa')).rejects.toMatchObject({ code: 'bridge_unavailable' })
    expect(await devices.linked('id_1')).toHaveLength(1)
  })

  test('is done when the bridge knows the login no more', async () => {
    failure = new GatewayError('not_found', 'no such login')
    await devices.remove('id_1', '237', 'wa')
    expect(await devices.linked('id_1')).toEqual([])
  })

  test('what is not there', async () => {
    await expect(devices.remove('id_1', '999', 'wa')).rejects.toMatchObject({ code: 'not_found' })
    await expect(devices.remove('id_2', '237', 'wa')).rejects.toMatchObject({ code: 'not_found' })
  })
})
