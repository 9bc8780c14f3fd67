/** Remembered devices: asked for once, and never older than the last change. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  createDeviceRepository,
  type DeviceRepository,
} from '../../../src/modules/devices/device-repository.ts'
import { rememberDevices } from '../../../src/modules/devices/remembered-devices.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let asked: number
let devices: DeviceRepository

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
  clock = new ManualClock()
  asked = 0
  const repository = createDeviceRepository(db)
  const counted: DeviceRepository = {
    ...repository,
    listAll: identityId => {
      asked++
      return repository.listAll(identityId)
    },
    get: id => {
      asked++
      return repository.get(id)
    },
  }
  devices = rememberDevices(counted, clock)
})
afterEach(() => db.destroy())

const states = async () => [
  (await devices.listAll('id_1')).map(device => device.state),
  (await devices.get('dev_1'))?.state,
]

test('the second time nothing is asked; also not for a device that is not there', async () => {
  await devices.get('dev_none')
  await devices.get('dev_none')
  expect(await states()).toEqual(await states())
  expect(asked).toBe(3)
})

test('a change of ours is seen at once', async () => {
  await states()
  await devices.setState(['dev_1'], 'disconnected', 'why', 1)
  expect(await states()).toEqual([['disconnected'], 'disconnected'])
})

test('a list that was being read while it changed is not remembered', async () => {
  const [, ,] = await Promise.all([
    devices.listAll('id_1'),
    devices.setState(['dev_1'], 'error', null, 1),
    devices.get('dev_1'),
  ])
  expect(await states()).toEqual([['error'], 'error'])
})

test("another process's change is seen after a moment", async () => {
  await states()
  db.connection.run("UPDATE devices SET state = 'error'")
  await clock.advance(2_000)
  expect(await states()).toEqual([['error'], 'error'])
})
