/**
 * Messages that wait for a deleted device fail at once and are never sent, whatever becomes of the
 * device or the process.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { deliveries, media, outboxLanes, messages as rows } from '../../../src/db/schema/index.ts'
import type { MatrixSession } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import {
  createDeviceRepository,
  type DeviceRepository,
} from '../../../src/modules/devices/device-repository.ts'
import type { SendRequest } from '../../../src/modules/sending/content/request.ts'
import { type Backlog, createBacklog } from '../../../src/modules/sending/limits.ts'
import { createOutbox } from '../../../src/modules/sending/outbox.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { createDeletedDevices } from '../../../src/modules/upkeep/message-endings.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  inRoom,
  type MessageStore,
  messageStore,
  messagesOn,
  noActs,
  noMedia,
  SEND_REQUEST,
  stagedFile,
} from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const PACE = { intervalMs: 8_000, jitter: 0, burst: 2 }
const LIMIT = 250
const LOGIN = {
  loginId: '237',
  deviceId: '237',
  phone: '237',
  name: 'Amina',
  state: 'connected' as const,
  reason: null,
}

let db: TempDb
let clock: ManualClock
let store: MessageStore
let devices: DeviceRepository
let backlog: Backlog
let messages: Messages
let upkeep: Worker
let discarded: string[]
let sent: string[]
/** Called while a message is being sent. */
let onSend: (text: string) => Promise<void>
let supervisor: Supervisor

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertDevice(db)
  discarded = []
  sent = []
  onSend = async () => undefined
  backlog = createBacklog({
    limits: { perIdentity: LIMIT, inAll: LIMIT },
    waiting: new Map(),
  })
  store = messageStore(db, undefined, backlog)
  devices = createDeviceRepository(db)
  const paceOf = () => PACE
  messages = messagesOn(store, {
    backlog,
    devices: { linked: async () => [], find: async () => devices.get('dev_1') },
    media: {
      discard: async ({ id }) => void discarded.push(id),
      discardAll: async ids => void discarded.push(...ids),
    },
    paceOf,
    clock,
  })
  supervisor = new Supervisor(clock, silentLogger)
  upkeep = createDeletedDevices({
    endings: store.endings,
    discard: async ids => void discarded.push(...ids),
    signals: db.signals,
    clock,
  })
})
afterEach(async () => {
  await supervisor.stop(1_000)
  await db.destroy()
})

const accept = (change: Partial<SendRequest> = {}) => messages.accept({ ...SEND_REQUEST, ...change })
const contacts = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`).join(',')
const statuses = () =>
  db.orm
    .select()
    .from(rows)
    .all()
    .map(({ status, reason }) => [status, reason])
const lanes = () => db.orm.select().from(outboxLanes).all()
const FAILED = ['failed', 'the device was deleted']

async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}
const remove = () => devices.remove('dev_1', 'deleted by the API', clock.now())
const linkAgain = () => devices.adopt('id_1', 'wa', LOGIN, 'dev_2', clock.now())
async function runUpkeep() {
  supervisor.start(upkeep)
  await idle()
}
const claim = (pace = PACE) =>
  store.queue.claim({
    leaseId: 'l',
    now: clock.now(),
    maxLanes: 500,
    maxMessagesPerLane: 10,
    paceOf: () => pace,
  })

async function runOutbox(pace = PACE) {
  const chat = insertChat(db)
  const session: Partial<MatrixSession> = {
    async send(_room, _type, content) {
      const text = String(content.body)
      sent.push(text)
      await onSend(text)
      return `$${sent.length}`
    },
  }
  const outbox = createOutbox({
    queue: store.queue,
    recipients: inRoom,
    messages: store.repository,
    acts: noActs,
    devices: { get: devices.get, reconcile: async () => undefined },
    chatRooms: { ensureEntered: async () => ({ ...chat, takes: null }) },
    media: noMedia,
    sessions: { actingAs: () => session as MatrixSession },
    matrixUserOf: async () => '@mg1:s',
    paceOf: () => pace,
    signals: db.signals,
    clock,
    logger: silentLogger,
  })
  supervisor.start(outbox)
  await idle()
}

describe('a deleted device', () => {
  test('has no queue any more, and whoever asked is told', async () => {
    insertWebhook(db, { events: ['message.status'] })
    await accept({ contact: contacts(LIMIT - 1) })
    await accept({ contact: 'file', files: [stagedFile()] })
    await remove()
    await runUpkeep()
    expect(statuses()).toEqual(Array.from({ length: LIMIT }, () => FAILED))
    expect(lanes()).toEqual([])
    expect(db.orm.select().from(deliveries).all()).toHaveLength(LIMIT)
    expect(discarded).toEqual(['file_1'])
    expect(db.orm.select().from(media).all()).toEqual([])
    // There is room again for as many.
    await linkAgain()
    await accept({ contact: contacts(LIMIT) })
  })

  test('that is deleted while the worker runs has its queue failed once that is told', async () => {
    await runUpkeep()
    await accept({ contact: contacts(3) })
    await remove()
    await idle()
    expect(statuses()).toEqual([FAILED, FAILED, FAILED])
  })

  test('leaves what waits for others', async () => {
    insertDevice(db, { id: 'dev_10', loginId: '238' })
    await accept()
    db.connection.run("UPDATE messages SET device_row_id = 'dev_10', lane = 'dev_10/contact:1'")
    db.connection.run("UPDATE outbox_lanes SET device_row_id = 'dev_10', lane = 'dev_10/contact:1'")
    await accept()
    await remove()
    await runUpkeep()
    expect(statuses()).toEqual([['queued', null], FAILED])
    expect(lanes().map(({ lane }) => lane)).toEqual(['dev_10/contact:1'])
  })
})

describe('a device that is linked again', () => {
  test('sends nothing of before, even where nothing of it has failed yet', async () => {
    await accept({ contact: contacts(20), text: 'old' })
    await remove()
    const device = await linkAgain()
    expect(device.id).toBe('dev_1')
    await accept({ contact: 'c0,c1', text: 'new' })
    await runOutbox({ ...PACE, intervalMs: 0 })
    expect(sent).toEqual(['new', 'new'])
    expect(statuses().slice(0, 20)).toEqual(Array.from({ length: 20 }, () => FAILED))
  })

  test('has what is left failed, also in lanes in which something waits that is new, and then is as any other', async () => {
    await accept({ contact: 'c0,c1', text: 'old' })
    await remove()
    await linkAgain()
    await accept({ contact: 'c0', text: 'new' })
    await runUpkeep()
    expect(statuses()).toEqual([FAILED, FAILED, ['queued', null]])
    expect(lanes().map(({ lane }) => lane)).toEqual(['dev_1/contact:c0'])
    expect((await devices.get('dev_1'))?.discardedThrough).toBeNull()
  })

  test('keeps to its pace as if what never was sent had never been accepted', async () => {
    await accept({ contact: contacts(100) })
    expect(await claim()).toHaveLength(2)
    await remove()
    await runUpkeep()
    await linkAgain()
    await accept({ contact: 'other' })
    expect(await claim()).toEqual([])
    await clock.advance(PACE.intervalMs)
    expect((await claim()).map(({ lane }) => lane)).toEqual(['dev_1/contact:other'])
  })

  test('one that was merely logged out sends what waited', async () => {
    await accept({ text: 'old' })
    await devices.setState(['dev_1'], 'logged_out', 'at the phone', clock.now())
    await linkAgain()
    await runUpkeep()
    await runOutbox()
    expect(sent).toEqual(['old'])
  })
})

describe('what is being sent when its device is deleted', () => {
  test('may go, and nothing after it, though it was claimed together and the device is linked again', async () => {
    for (const text of ['1', '2', '3']) await accept({ text })
    onSend = async () => {
      await remove()
      await linkAgain()
    }
    await runOutbox({ ...PACE, intervalMs: 0 })
    expect(sent).toEqual(['1'])
    expect(statuses()).toEqual([['submitted', null], FAILED, FAILED])
  })

  test('fails when it has to wait after all', async () => {
    await accept()
    const [lane] = await claim()
    const [message] = lane?.messages ?? []
    if (!lane || !message) throw new Error('nothing was claimed')
    await remove()
    await linkAgain()
    await runUpkeep()
    expect(statuses()).toEqual([['sending', null]])
    await store.queue.settle(
      message,
      { outcome: 'retry', reason: 'the bridge is down', refusedSince: null },
      clock.now(),
    )
    await store.queue.release(lane, clock.now() + 60_000)
    await clock.advance(5_000)
    expect(statuses()).toEqual([FAILED])
    expect(lanes()).toEqual([])
  })

  test('fails when the process was killed meanwhile', async () => {
    await accept()
    await claim()
    await remove()
    await store.queue.releaseAbandoned(clock.now())
    await linkAgain()
    await runUpkeep()
    expect(statuses()).toEqual([FAILED])
  })
})

test('an identity whose devices can not be logged out yet sends nothing all the same', async () => {
  await accept({ contact: contacts(3) })
  await devices.discardQueues('id_1', clock.now())
  await runOutbox()
  expect(sent).toEqual([])
  await runUpkeep()
  expect(statuses()).toEqual([FAILED, FAILED, FAILED])
})

test('a step is small, however much waits', async () => {
  await accept({ contact: contacts(5) })
  await remove()
  expect(await store.endings.failDiscarded('dev_1', 2, clock.now())).toMatchObject({ count: 2 })
  expect(db.orm.select().from(rows).where(eq(rows.status, 'queued')).all()).toHaveLength(3)
})

test('a stop waits for one step, however many devices were deleted', async () => {
  const stop = new AbortController()
  const steps: string[] = []
  const endings: Parameters<typeof createDeletedDevices>[0]['endings'] = {
    discardedQueues: async () => ['dev_1', 'dev_2', 'dev_3'],
    async failDiscarded(deviceRowId) {
      steps.push(deviceRowId)
      stop.abort()
      return { count: 1, unneeded: [] }
    },
  }
  await createDeletedDevices({ endings, discard: async () => undefined, signals: db.signals, clock }).run(
    stop.signal,
  )
  expect(steps).toEqual(['dev_1'])
})
