/**
 * Attached bridges in the database: secrets sealed, rooms forgotten with the bridge that made them,
 * devices logged out.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { bridges, devices, ghostPhones, resolvedRecipients } from '../../../src/db/schema/index.ts'
import { createSealer } from '../../../src/lib/sealing.ts'
import { detachBridge } from '../../../src/modules/bridges-attached/attach.ts'
import {
  type AttachedBridge,
  createAttachedBridges,
  failedUpdate,
} from '../../../src/modules/bridges-attached/bridges-attached.ts'
import {
  createArrivals,
  createAttachedBridgeRepository,
} from '../../../src/modules/bridges-attached/repository.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const BRIDGE: AttachedBridge = {
  platform: 'wa',
  url: 'http://127.0.0.1:29318',
  registrationId: 'whatsapp',
  senderLocalpart: 'sender',
  botLocalpart: 'whatsappbot',
  asToken: 'as_in_clear',
  hsToken: 'hs_in_clear',
  secret: 'secret_in_clear',
  namespaces: { users: [{ regex: '^@whatsapp_.*$', exclusive: true }] },
  command: ['/opt/mautrix-whatsapp'],
  dir: '/data/bridges/wa',
  version: null,
  update: null,
  createdAt: 1,
  updatedAt: 2,
}

let db: TempDb
const clock = new ManualClock()
beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

const openedWith = (secretKey: string) => createAttachedBridges(db, createSealer(secretKey))

test('what was put there comes back, and none of its secrets is in clear', async () => {
  const attached = openedWith('a secret key')
  await attached.insert(BRIDGE)
  expect(await attached.list()).toEqual([BRIDGE])
  expect(await attached.find('wa')).toEqual(BRIDGE)
  expect(await attached.find('signal')).toBeNull()
  expect(JSON.stringify(db.orm.select().from(bridges).all())).not.toContain('in_clear')
  const changed = { ...BRIDGE, url: 'http://10.0.0.1:1', secret: null, command: null, updatedAt: 3 }
  await attached.replace(changed)
  expect(await attached.list()).toEqual([changed])
})

test('another SECRET_KEY is named', async () => {
  await openedWith('a secret key').insert(BRIDGE)
  expect(openedWith('another key').list()).rejects.toThrow(
    'SECRET_KEY: the wa bridge was attached under another one',
  )
})

function rememberRooms(): void {
  insertIdentity(db)
  for (const platform of ['wa', 'signal']) {
    const id = `dev_${platform}`
    insertDevice(db, { id, platform })
    db.orm
      .insert(resolvedRecipients)
      .values({ deviceRowId: id, recipientKey: 'c:1', roomId: `!${platform}:s`, resolvedAt: 0 })
      .run()
    const ghost = { matrixUserId: `@${platform}_lid-1:s`, phone: '237' }
    db.orm
      .insert(ghostPhones)
      .values({ ...ghost, deviceRowId: id, askedAt: 0 })
      .run()
  }
}
const rememberedRooms = () =>
  db.orm
    .select()
    .from(resolvedRecipients)
    .all()
    .map(row => row.roomId)
const rememberedPhones = () => db.orm.select().from(ghostPhones).all()

test('a bridge that takes another’s place makes its own rooms: those remembered are forgotten, of its platform only', async () => {
  rememberRooms()
  await openedWith('a secret key').insert(BRIDGE)
  expect(rememberedRooms()).toEqual(['!signal:s'])
  expect(rememberedPhones()).toMatchObject([{ deviceRowId: 'dev_signal' }])
})

test.each([
  [false, 'logged_out', 'the bridge was taken away'],
  // A gateway that runs marks them itself, once it asks the bridge no more.
  [true, 'connected', null],
])('taken away while a gateway runs: %p', async (isGatewayRunning, state, reason) => {
  await openedWith('a secret key').insert(BRIDGE)
  rememberRooms()
  const arrivals = createArrivals(db)
  for (const platform of ['wa', 'signal']) await arrivals.note({ platform }, 'main')
  const parts = {
    bridges: createAttachedBridgeRepository(db),
    devices: createDeviceRepository(db),
    isGatewayRunning,
    clock,
  }
  expect(await detachBridge('wa', parts)).toBe(BRIDGE.dir)
  expect(rememberedRooms()).toEqual(['!signal:s'])
  expect([await arrivals.find({ platform: 'wa' }), await arrivals.find({ platform: 'signal' })]).toEqual([
    null,
    'main',
  ])
  expect(
    db.orm
      .select()
      .from(devices)
      .all()
      .map(device => [device.platform, device.state, device.stateReason])
      .sort(),
  ).toEqual([
    ['signal', 'connected', null],
    ['wa', state, reason],
  ])
  expect(detachBridge('wa', parts)).rejects.toThrow('there is no attached bridge "wa"')
})

test('devices are counted by their state, but for those that were deleted', async () => {
  insertIdentity(db)
  insertDevice(db)
  insertDevice(db, { id: 'dev_2', loginId: '2', deviceId: '2', state: 'logged_out' })
  insertDevice(db, { id: 'dev_3', loginId: '3', deviceId: '3', state: 'logged_out', removedAt: 5 })
  const repository = createAttachedBridgeRepository(db)
  expect([...(await repository.deviceStates('wa'))]).toEqual([
    ['connected', 1],
    ['logged_out', 1],
  ])
  // One that a simulated phone lost isn't for the real bridge's operator to link again.
  await openedWith('a secret key').insert({ ...BRIDGE, createdAt: Date.now() })
  expect([...(await repository.deviceStates('wa'))]).toEqual([['connected', 1]])
})

test('an update is reported once it has failed, with what runs on', () => {
  const update = { version: 'v2', failure: null } as NonNullable<AttachedBridge['update']>
  expect(failedUpdate({ ...BRIDGE, update })).toBeNull()
  expect(failedUpdate({ ...BRIDGE, update: { ...update, failure: 'no' } })?.problem).toBe(
    "v2 didn't become ready: no; /opt/mautrix-whatsapp runs on",
  )
})
