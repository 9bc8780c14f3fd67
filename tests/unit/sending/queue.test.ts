/** The queue of messages: how much it takes, what is taken back, and what waits too long. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { deliveries, media, messages as rows } from '../../../src/db/schema/index.ts'
import type { MessageOutcome } from '../../../src/domain/observation.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { SendRequest } from '../../../src/modules/sending/content/request.ts'
import { type Backlog, createBacklog } from '../../../src/modules/sending/limits.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { createExpiry } from '../../../src/modules/upkeep/message-endings.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  type MessageStore,
  messageStore,
  messagesOn,
  SEND_REQUEST,
  stagedFile,
} from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const LIMITS = { perIdentity: 3, inAll: 5 }
const NO_PACE = { intervalMs: 0, jitter: 0, burst: 1 }

let db: TempDb
let clock: ManualClock
let store: MessageStore
let backlog: Backlog
let messages: Messages
let discarded: string[]
let intervalMs: number
let outcomes: MessageOutcome[]

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  for (const number of [1, 2]) {
    insertIdentity(db, `id_${number}`, `@mg${number}:s`)
    insertDevice(db, { id: `dev_${number}`, identityId: `id_${number}` })
  }
  discarded = []
  intervalMs = 0
  outcomes = []
  open(new Map())
})
afterEach(() => db.destroy())

/** Everything as a process begins with it. */
function open(waiting: ReadonlyMap<string, number>): void {
  backlog = createBacklog({ limits: LIMITS, waiting })
  store = messageStore(db, { messageSettled: outcome => void outcomes.push(outcome) }, backlog)
  messages = messagesOn(store, {
    backlog,
    devices: {
      linked: async () => [],
      find: async identityId =>
        db.orm.query.devices.findFirst({ where: (d, { eq }) => eq(d.identityId, identityId) }).sync() ?? null,
    },
    media: {
      discard: async ({ id }) => void discarded.push(id),
      discardAll: async ids => void discarded.push(...ids),
    },
    paceOf: () => ({ ...NO_PACE, intervalMs }),
    clock,
  })
}

const accept = (change: Partial<SendRequest> = {}) => messages.accept({ ...SEND_REQUEST, ...change })
const acceptOne = async (change: Partial<SendRequest> = {}) => (await accept(change))[0]?.id ?? ''
const refusal = (change: Partial<SendRequest> = {}) => accept(change).catch(error => error)
const claim = async () =>
  (
    await store.queue.claim({
      leaseId: 'l',
      now: clock.now(),
      maxLanes: 10,
      maxMessagesPerLane: 10,
      paceOf: () => NO_PACE,
    })
  ).flatMap(lane => lane.messages)
const submit = async (id: string) => {
  const message = (await claim()).find(claimed => claimed.id === id)
  if (!message) throw new Error(`${id} was not claimed`)
  await store.queue.settle(
    message,
    { outcome: 'submitted', eventId: `$${id}`, roomId: '!r:s', bridgeBot: '@bot:s' },
    clock.now(),
  )
}
const rowOf = (id: string) => db.orm.select().from(rows).where(eq(rows.id, id)).get()
const FILE = stagedFile()
const files = () =>
  db.orm
    .select()
    .from(media)
    .all()
    .map(({ id }) => id)

describe('a full queue', () => {
  test('of an identity refuses the whole send, and nobody else’s', async () => {
    await accept({ contact: '1,2' })
    const error = await refusal({ contact: '3,4', files: [FILE] })
    expect(error).toMatchObject({
      code: 'too_many_requests',
      message: expect.stringContaining('2 messages of this identity wait to be sent already, of 3 that may'),
    })
    expect(db.orm.select().from(rows).all()).toHaveLength(2)
    expect(discarded).toEqual(['file_1'])
    await accept({ contact: '3' })
    await accept({ identityId: 'id_2' })
  })

  test('of all refuses whoever comes, and tells nothing of what others have in it', async () => {
    await accept({ contact: '1,2,3' })
    await accept({ identityId: 'id_2', contact: '1,2' })
    const error = await refusal({ identityId: 'id_2', contact: '3' })
    expect(error).toMatchObject({
      code: 'too_many_requests',
      message: expect.not.stringMatching(/\d/),
      retryAfterS: 10,
    })
  })

  test.each([
    [8_000, '2,3', 8],
    [8_000, '2,3,4', 16],
    [0, '2,3', 1],
    [3_600_000, '2,3', 3_600],
  ])('at a pace of %d ms has room for %p after that many seconds', async (pace, contact, seconds) => {
    await accept({ contact: 'a,b' })
    intervalMs = pace
    expect(await refusal({ contact })).toMatchObject({ retryAfterS: seconds })
  })

  test('has room again for each message that was handed over, failed, was cancelled or expired', async () => {
    const [first, second, third] = (await accept({ contact: '1,2,3', expiresInS: 60 })).map(({ id }) => id)
    await messages.cancel('id_1', first ?? '')
    await accept({ contact: '4' })
    await submit(second ?? '')
    await accept({ contact: '5' })
    const claimed = (await claim()).concat(
      db.orm
        .select()
        .from(rows)
        .all()
        .filter(row => row.status === 'sending'),
    )
    const message = claimed.find(({ id }) => id === third)
    if (!message) throw new Error('not claimed')
    await store.queue.settle(message, { outcome: 'failed', reason: 'no' }, clock.now())
    await accept({ contact: '6', expiresInS: 1 })
    expect(await refusal({ contact: '7' })).toMatchObject({ code: 'too_many_requests' })
    await clock.advance(1_000)
    expect(await store.endings.expire(clock.now(), 10)).toMatchObject({ count: 1 })
    // Nobody tried them, so this alone tells whoever counts.
    expect(outcomes).toMatchObject([
      { deviceRowId: 'dev_1', status: 'cancelled' },
      { deviceRowId: 'dev_1', status: 'failed', ageMs: 1_000 },
    ])
    await accept({ contact: '7' })
  })

  test('has room again when storing failed', async () => {
    const broken = messagesOn(
      {
        ...store,
        repository: { ...store.repository, accept: () => Promise.reject(new Error('disk full')) },
      },
      { backlog, devices: { linked: async () => [], find: async () => insertedDevice() } },
    )
    for (let time = 0; time < 5; time++) await broken.accept(SEND_REQUEST).catch(() => undefined)
    await accept({ contact: '1,2,3' })
  })

  test('counts what waits after a restart, and nothing else', async () => {
    const id = await acceptOne({ contact: '1,2' })
    await submit(id)
    await accept({ identityId: 'id_2', contact: '1,2,3' })
    const waiting = await store.waiting.countByIdentity()
    expect([...waiting].sort()).toEqual([
      ['id_1', 1],
      ['id_2', 3],
    ])
    open(waiting)
    expect(await refusal({ identityId: 'id_2', contact: '4' })).toMatchObject({ code: 'too_many_requests' })
    await accept({ contact: '3' })
    expect(await refusal({ contact: '4' })).toMatchObject({
      message: expect.stringContaining('no room for more'),
    })
  })

  test('a message that comes back counts again, and the outbox is told at once', async () => {
    insertChat(db, { identityId: 'id_1', roomId: '!r:s', bridgeBot: '@bot:s' })
    const id = await acceptOne({ contact: '1' })
    await submit(id)
    await accept({ contact: '2,3' })
    const { report } = createStatusWriter(undefined, backlog)
    let told = 0
    db.signals.on('accepted', () => told++)
    await db.write(tx =>
      report(tx, { eventId: `$${id}`, sender: '@bot:s', status: 'queued', reason: 'later' }, clock.now()),
    )
    expect([rowOf(id)?.status, told]).toEqual(['queued', 1])
    expect(await refusal({ contact: '4' })).toMatchObject({ code: 'too_many_requests' })
  })
})

describe('a lease that was lost', () => {
  const claimLanes = (leaseId: string) =>
    store.queue.claim({
      leaseId,
      now: clock.now(),
      maxLanes: 10,
      maxMessagesPerLane: 10,
      paceOf: () => NO_PACE,
    })
  const failed = { outcome: 'failed', reason: 'no' } as const
  const lanes = () => db.orm.query.outboxLanes.findMany().sync()

  /** Claimed by one worker, and again by another. */
  async function claimTwice() {
    const [first] = await claimLanes('first')
    await store.queue.releaseAbandoned(clock.now())
    const [second] = await claimLanes('second')
    if (!first || !second) throw new Error('not claimed')
    return { first, second }
  }

  test('gives nothing back: neither the lane nor its messages', async () => {
    const id = await acceptOne()
    const { first } = await claimTwice()
    await store.queue.release(first, clock.now())
    expect([rowOf(id)?.status, lanes()[0]?.leaseId]).toEqual(['sending', 'second'])
    expect(await claimLanes('third')).toEqual([])
  })

  test('doesn’t close the lane', async () => {
    await accept()
    const { first, second } = await claimTwice()
    for (const message of second.messages) await store.queue.settle(message, failed, clock.now())
    await store.queue.release(first, clock.now())
    expect(lanes()).toHaveLength(1)
    await store.queue.release(second, clock.now())
    expect(lanes()).toEqual([])
  })

  test('settles nothing twice: it is told once, and leaves the queue once', async () => {
    insertWebhook(db, { events: ['message.status'] })
    await accept({ contact: '1,2,3' })
    const { first, second } = await claimTwice()
    for (const { messages } of [second, first]) {
      for (const message of messages) await store.queue.settle(message, failed, clock.now())
    }
    expect(db.orm.select().from(deliveries).all()).toHaveLength(1)
    // Two wait, of the three that may.
    await accept({ contact: '4' })
    expect(await refusal({ contact: '5' })).toMatchObject({ code: 'too_many_requests' })
  })

  test('leaves what was taken back meanwhile as it is', async () => {
    const id = await acceptOne()
    const { first, second } = await claimTwice()
    await store.queue.release(second, clock.now())
    await messages.cancel('id_1', id)
    for (const message of first.messages) await store.queue.settle(message, failed, clock.now())
    expect(rowOf(id)?.status).toBe('cancelled')
  })
})

const insertedDevice = () => db.orm.query.devices.findFirst().sync() ?? null

describe('a message that is cancelled', () => {
  test('is not sent, and webhooks that ask are told', async () => {
    insertWebhook(db, { events: ['message.status'] })
    const [first, second] = (await accept({ contact: '1,2' })).map(({ id }) => id)
    expect(await messages.cancel('id_1', first ?? '')).toMatchObject({
      id: first,
      status: 'cancelled',
      reason: null,
    })
    expect(outcomes).toMatchObject([{ messageId: first, deviceRowId: 'dev_1', status: 'cancelled' }])
    expect((await claim()).map(({ id }) => id)).toEqual([second ?? ''])
    expect(db.orm.select().from(deliveries).all()).toHaveLength(1)
  })

  test('while it is being sent, or after, is refused by its status and stays as it is', async () => {
    const id = await acceptOne()
    const [claimed] = await claim()
    const tooLate = (status: string) => ({
      code: 'conflict',
      message: expect.stringContaining(`the message is ${status}`),
    })
    expect(await messages.cancel('id_1', id).catch(error => error)).toMatchObject(tooLate('sending'))
    await store.queue.settle(
      claimed as never,
      { outcome: 'submitted', eventId: '$e', roomId: '!r:s', bridgeBot: null },
      clock.now(),
    )
    expect(await messages.cancel('id_1', id).catch(error => error)).toMatchObject(tooLate('sending'))
    expect(rowOf(id)?.status).toBe('submitted')
  })

  test('twice is refused the second time', async () => {
    const id = await acceptOne()
    const [one, other] = await Promise.allSettled([messages.cancel('id_1', id), messages.cancel('id_1', id)])
    expect([one.status, other.status]).toEqual(['fulfilled', 'rejected'])
  })

  test('by another identity is not there', async () => {
    const id = await acceptOne()
    expect(await messages.cancel('id_2', id).catch(error => error)).toMatchObject({ code: 'not_found' })
    expect(rowOf(id)?.status).toBe('queued')
  })

  test('in the turn in which the outbox claims it is either sent or cancelled, not both', async () => {
    for (let round = 0; round < 20; round++) {
      const id = await acceptOne()
      const cancel = () =>
        messages.cancel('id_1', id).then(
          () => 'cancelled',
          () => 'refused',
        )
      const [first, second] = round % 2 === 0 ? [claim(), cancel()] : [cancel(), claim()]
      const results = await Promise.all([first, second])
      const claimed = results.find(result => Array.isArray(result)) ?? []
      const cancelled = results.find(result => typeof result === 'string')
      expect([id, cancelled]).toEqual([id, claimed.length === 1 ? 'refused' : 'cancelled'])
      if (claimed[0]) await store.queue.settle(claimed[0], { outcome: 'failed', reason: 'x' }, clock.now())
      await store.queue.releaseAbandoned(clock.now())
    }
  })

  test('takes its file along, but not one that another message needs', async () => {
    const [first, second] = (await accept({ contact: '1,2', files: [FILE] })).map(({ id }) => id)
    await messages.cancel('id_1', first ?? '')
    expect([files(), discarded]).toEqual([['file_1'], []])
    await messages.cancel('id_1', second ?? '')
    expect([files(), discarded]).toEqual([[], ['file_1']])
  })

  test('leaves the file of one that was handed over: the network may ask for it again', async () => {
    const [first, second] = (await accept({ contact: '1,2', files: [FILE] })).map(({ id }) => id)
    await submit(first ?? '')
    await store.queue.releaseAbandoned(clock.now())
    const other = rowOf(second ?? '')
    if (other)
      await store.queue.settle(other, { outcome: 'retry', reason: 'later', refusedSince: null }, clock.now())
    await messages.cancel('id_1', second ?? '')
    expect(files()).toEqual(['file_1'])
  })
})

describe('a message that waits too long', () => {
  let supervisor: Supervisor
  beforeEach(() => {
    supervisor = new Supervisor(clock, silentLogger)
    supervisor.start(
      createExpiry({
        endings: store.endings,
        discard: async ids => void discarded.push(...ids),
        clock,
      }),
    )
  })
  afterEach(async () => {
    await supervisor.stop(1_000)
  })

  test('fails with what kept it waiting, within a second of its time', async () => {
    insertWebhook(db, { events: ['message.status'] })
    const id = await acceptOne({ expiresInS: 60, files: [FILE] })
    const [message] = await claim()
    await store.queue.settle(
      message as never,
      { outcome: 'retry', reason: 'the device is disconnected', refusedSince: null },
      clock.now(),
    )
    await clock.advance(59_000)
    expect(rowOf(id)?.status).toBe('queued')
    await clock.advance(2_000)
    await settled()
    expect(await messages.get('id_1', id)).toMatchObject({
      status: 'failed',
      reason: 'expired: not handed over within 60 seconds (the device is disconnected)',
      expires_at: '2026-04-27T10:01:00Z',
    })
    expect(db.orm.select().from(deliveries).all()).toHaveLength(1)
    expect([files(), discarded]).toEqual([[], ['file_1']])
  })

  test('by nothing but the clock doesn’t fail when nobody said so', async () => {
    const id = await acceptOne()
    await clock.advance(600_000)
    expect(rowOf(id)?.status).toBe('queued')
    expect((await messages.get('id_1', id)).expires_at).toBeNull()
  })

  test('that is being sent is left to that; one that was sent doesn’t fail any more', async () => {
    const id = await acceptOne({ expiresInS: 1 })
    const [message] = await claim()
    await clock.advance(5_000)
    expect(rowOf(id)?.status).toBe('sending')
    await store.queue.settle(
      message as never,
      { outcome: 'submitted', eventId: '$e', roomId: '!r:s', bridgeBot: null },
      clock.now(),
    )
    await clock.advance(5_000)
    expect(rowOf(id)?.status).toBe('submitted')
  })
})
