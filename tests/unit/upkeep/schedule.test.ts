/** Messages with a `send_at`: they wait outside their lane, and take their place in it in time. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { messages as rows } from '../../../src/db/schema/index.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import {
  createDeviceRepository,
  type DeviceRepository,
} from '../../../src/modules/devices/device-repository.ts'
import type { SendRequest } from '../../../src/modules/sending/content/request.ts'
import { type Backlog, createBacklog } from '../../../src/modules/sending/limits.ts'
import { createWaitingMessages } from '../../../src/modules/sending/queue/lane-repository.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { createDeletedDevices, createExpiry } from '../../../src/modules/upkeep/message-endings.ts'
import { createRetentionRepository } from '../../../src/modules/upkeep/retention-repository.ts'
import { createSchedule } from '../../../src/modules/upkeep/schedule.ts'
import { createScheduleRepository } from '../../../src/modules/upkeep/schedule-repository.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  type MessageStore,
  messageStore,
  messagesOn,
  SEND_REQUEST,
  stagedFile,
} from '../../support/messages.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const HOUR = 3_600_000
const PACE = { intervalMs: 0, jitter: 0, burst: 1 }

let db: TempDb
let clock: ManualClock
let store: MessageStore
let devices: DeviceRepository
let backlog: Backlog
let messages: Messages
let discarded: string[]
let supervisor: Supervisor

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  discarded = []
  backlog = createBacklog({ limits: { perIdentity: 3, inAll: 3 }, waiting: new Map() })
  store = messageStore(db, undefined, backlog)
  devices = createDeviceRepository(db)
  messages = messagesOn(store, {
    backlog,
    devices: { linked: async () => [], find: async () => devices.get('dev_1') },
    media: {
      discard: async ({ id }) => void discarded.push(id),
      discardAll: async ids => void discarded.push(...ids),
    },
    paceOf: () => PACE,
    clock,
  })
  supervisor = new Supervisor(clock, silentLogger)
})
afterEach(async () => {
  await supervisor.stop(1_000)
  await db.destroy()
})

const schedule = () => createSchedule({ schedule: createScheduleRepository(db), signals: db.signals, clock })
const inMs = (ms: number) => new Date(clock.now() + ms).toISOString()
async function accept(change: Partial<SendRequest> = {}): Promise<string> {
  const [accepted] = await messages.accept({ ...SEND_REQUEST, ...change })
  return accepted?.id ?? ''
}
const later = (ms: number, change: Partial<SendRequest> = {}) => accept({ sendAt: inMs(ms), ...change })

async function expectRejection(work: Promise<unknown>, code: string, message = '') {
  const error: unknown = await work.catch(reason => reason)
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
}
async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}
async function run(worker: Worker) {
  supervisor.start(worker)
  await idle()
}
async function advance(ms: number) {
  await clock.advance(ms)
  await idle()
}
/** Texts that may be sent now, lane by lane. */
async function sendable() {
  const lanes = await store.queue.claim({
    leaseId: 'l',
    now: clock.now(),
    maxLanes: 100,
    maxMessagesPerLane: 10,
    paceOf: () => PACE,
  })
  return lanes.map(lane => lane.messages.map(({ text }) => text))
}

test('it is queued for its sender, due at its time, and expires so long after that', async () => {
  const id = await later(HOUR, { expiresInS: 60 })
  expect(await messages.get('id_1', id)).toMatchObject({
    status: 'queued',
    send_at: '2026-04-27T11:00:00Z',
    due_at: '2026-04-27T11:00:00Z',
    expires_at: '2026-04-27T11:01:00Z',
  })
  expect(await messages.list('id_1', 10)).toHaveLength(1)
  expect(await messages.get('id_1', await accept())).toMatchObject({ send_at: null })
})

test('it holds up nothing before, and goes behind what waits by then', async () => {
  await run(schedule())
  await later(HOUR, { text: 'late' })
  await later(HOUR / 2, { text: 'early' })
  await accept({ text: 'now' })
  await advance(HOUR / 2 - 1)
  await advance(1)
  await advance(HOUR / 2)
  expect(await sendable()).toEqual([['now', 'early', 'late']])
})

test('it is not sent before its time', async () => {
  await run(schedule())
  await later(HOUR)
  await advance(HOUR - 1)
  expect(await sendable()).toEqual([])
  await advance(1)
  expect(await sendable()).toEqual([['hi']])
})

test('a gateway that was off when it was due sends it at its start, at most so many at once', async () => {
  backlog = createBacklog({ limits: { perIdentity: 300, inAll: 300 }, waiting: new Map() })
  messages = messagesOn(store, {
    backlog,
    devices: { linked: async () => [], find: async () => devices.get('dev_1') },
    paceOf: () => PACE,
    clock,
  })
  await later(HOUR, { contact: Array.from({ length: 250 }, (_, index) => `c${index}`).join(',') })
  await clock.advance(2 * HOUR)
  await run(schedule())
  expect(
    db.orm
      .select()
      .from(rows)
      .all()
      .map(({ status }) => status),
  ).toEqual(Array(250).fill('queued'))
})

test('it goes by the clock as it is set then', async () => {
  await run(schedule())
  await later(HOUR)
  clock.set(2 * HOUR)
  db.signals.emit('clock-moved')
  await idle()
  expect(await sendable()).toEqual([['hi']])
})

test('it can be cancelled, and its file goes with it', async () => {
  const file = stagedFile()
  const id = await later(HOUR, { files: [file] })
  expect(await messages.cancel('id_1', id)).toMatchObject({ status: 'cancelled', reason: null })
  expect(discarded).toEqual([file.id])
  await run(schedule())
  await advance(HOUR)
  expect(await sendable()).toEqual([])
})

test('it counts among what may wait, also after a restart', async () => {
  await later(HOUR, { contact: 'a,b,c' })
  await expectRejection(accept(), 'too_many_requests')
  expect(await createWaitingMessages(db).countByIdentity()).toEqual(new Map([['id_1', 3]]))
})

test('its file is kept for it, however long that is', async () => {
  await later(HOUR, { files: [stagedFile()] })
  const { files } = createRetentionRepository(db)
  expect(await files('', clock.now() + HOUR)).toMatchObject({ removed: 0 })
})

test('it expires so long after its time, and says so', async () => {
  await run(schedule())
  await run(createExpiry({ endings: store.endings, discard: async () => undefined, clock }))
  const id = await later(HOUR, { expiresInS: 60 })
  await advance(HOUR + 59_000)
  expect(await messages.get('id_1', id)).toMatchObject({ status: 'queued' })
  await advance(3_000)
  expect(await messages.get('id_1', id)).toMatchObject({
    status: 'failed',
    reason: 'expired: not handed over within 60 seconds',
  })
})

describe('of a device that is deleted', () => {
  const deletedDevices = () =>
    createDeletedDevices({
      endings: store.endings,
      discard: async ids => void discarded.push(...ids),
      signals: db.signals,
      clock,
    })

  test('it fails at once', async () => {
    const id = await later(HOUR)
    await devices.remove('dev_1', 'deleted by the API', clock.now())
    await run(deletedDevices())
    expect(await messages.get('id_1', id)).toMatchObject({
      status: 'failed',
      reason: 'the device was deleted',
    })
  })

  test('it never becomes due, also when the device is linked again before it has failed', async () => {
    const id = await later(HOUR)
    await devices.remove('dev_1', 'deleted by the API', clock.now())
    await devices.adopt(
      'id_1',
      'wa',
      { loginId: '237', deviceId: '237', phone: '237', name: 'A', state: 'connected', reason: null },
      'dev_2',
      clock.now(),
    )
    await run(schedule())
    await advance(HOUR)
    expect(await sendable()).toEqual([])
    await run(deletedDevices())
    expect(await messages.get('id_1', id)).toMatchObject({ status: 'failed' })
    // One that is accepted now is of the new link.
    await later(HOUR)
    await advance(HOUR)
    expect(await sendable()).toEqual([['hi']])
  })
})

describe('an answer to it', () => {
  test('is refused when it would hold up its chat until then', async () => {
    const replyId = await later(HOUR)
    const says = `reply_id: the message ${replyId} is sent at 2026-04-27T11:00:00Z only: give its answer a send_at that is no earlier`
    await expectRejection(accept({ replyId }), 'bad_request', says)
    await expectRejection(later(HOUR - 1, { replyId }), 'bad_request', says)
  })

  test('goes behind it when it is as late', async () => {
    await run(schedule())
    const replyId = await later(HOUR, { text: 'asked' })
    await later(HOUR, { text: 'answered', replyId })
    await advance(HOUR)
    expect(await sendable()).toEqual([['asked', 'answered']])
  })
})

test.each([
  ['soon', 'send_at: expected an RFC 3339 time with an offset'],
  ['2026-04-27T11:00:00', 'send_at: expected an RFC 3339 time with an offset'],
  ['2026-04-27T10:00:00Z', 'send_at: expected a time to come, at most 30 days ahead'],
  ['2026-05-27T10:00:00.001Z', 'send_at: expected a time to come, at most 30 days ahead'],
])('send_at %j is refused', async (sendAt, says) => {
  await expectRejection(accept({ sendAt }), 'bad_request', says)
})

test('thirty days ahead is accepted', async () => {
  expect(await later(30 * 24 * HOUR)).toStartWith('msg_')
})
