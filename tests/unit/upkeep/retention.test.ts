/** Forgetting: what goes, what stays however old it is, and that nobody has to wait for it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  deliveries,
  deliveryAttempts,
  events,
  idempotencyKeys,
  media,
  messages,
  replays,
} from '../../../src/db/schema/index.ts'
import { DELIVERY_STATUSES, MESSAGE_STATUSES } from '../../../src/domain/states.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { REMEMBERED_MS } from '../../../src/modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../../../src/modules/idempotency/repository.ts'
import { createRetention, type RetentionOptions } from '../../../src/modules/upkeep/retention.ts'
import { createRetentionRepository } from '../../../src/modules/upkeep/retention-repository.ts'
import { insertDevice, insertIdentity, insertWebhook } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const NOW = Date.UTC(2026, 3, 27)
const DAY = 86_400_000
const OLD = NOW - 31 * DAY
const YOUNG = NOW - 29 * DAY

let db: TempDb
let discarded: string[]
/** Instants before which others forgot their copies. */
let forgotten: number[]
/** How often it paused. */
let pauses: number

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
  insertWebhook(db)
  discarded = []
  forgotten = []
  pauses = 0
})
afterEach(() => db.destroy())

function retention(change: Partial<RetentionOptions> = {}) {
  return createRetention({
    repository: createRetentionRepository(db),
    rowsMs: 30 * DAY,
    filesMs: 30 * DAY,
    forgetKeys: createIdempotencyRepository(db).forget,
    keysMs: REMEMBERED_MS,
    forgetCopies: async before => void forgotten.push(before),
    discard: async ids => void discarded.push(...ids),
    clock: {
      now: () => NOW,
      steady: () => NOW,
      sleep: async () => {
        pauses++
        await new Promise(resolve => setImmediate(resolve))
      },
    },
    logger: silentLogger,
    ...change,
  })
}
const tick = (change: Partial<RetentionOptions> = {}) => retention(change).tick(new AbortController().signal)

let ids = 0
function message(change: Partial<typeof messages.$inferInsert> = {}) {
  const base = {
    identityId: 'id_1',
    deviceRowId: 'dev_1',
    lane: 'dev_1/a',
    recipientKind: 'contact',
    recipient: 'a',
  } as const
  const counts = { attempts: 1, resends: 0, createdAt: OLD, updatedAt: OLD }
  const id = `msg_${++ids}`
  db.orm
    .insert(messages)
    .values({ id, ...base, ...counts, status: 'read', ...change })
    .run()
  return id
}
function event(change: Partial<typeof events.$inferInsert> = {}): number {
  const base = {
    identityId: 'id_1',
    eventId: `$${++ids}`,
    name: 'message.received',
    roomId: '!r:s',
    deviceRowId: 'dev_1',
    senderUserId: '@a:s',
  } as const
  return db.orm
    .insert(events)
    .values({ ...base, payload: {} as never, receivedAt: OLD, ...change })
    .returning()
    .get().seq
}
function delivery(eventSeq: number, change: Partial<typeof deliveries.$inferInsert> = {}): void {
  const base = {
    id: `evt_${++ids}`,
    identityId: 'id_1',
    webhookId: 1,
    lane: 'l',
    attempts: 1,
    createdAt: OLD,
  }
  const { seq } = db.orm
    .insert(deliveries)
    .values({ ...base, eventSeq, status: 'succeeded', settledAt: OLD, ...change })
    .returning()
    .get()
  db.orm.insert(deliveryAttempts).values({ deliverySeq: seq, attempt: 1, at: OLD }).run()
}
function file(id: string, change: Partial<typeof media.$inferInsert> = {}): string {
  const facts = {
    fileName: 'a',
    mimeType: 'a/b',
    sizeBytes: 1,
    width: 0,
    height: 0,
    durationMs: 0,
    blurHash: '',
  }
  db.orm
    .insert(media)
    .values({ id, identityId: 'id_1', ...facts, stored: true, createdAt: OLD, updatedAt: OLD, ...change })
    .run()
  return id
}
const count = (table: typeof messages | typeof events | typeof deliveries | typeof deliveryAttempts) =>
  db.orm.select().from(table).all().length

describe('messages', () => {
  test('go when they are settled and old, and no others', async () => {
    for (const status of MESSAGE_STATUSES) message({ status })
    const young = [message({ createdAt: YOUNG, updatedAt: YOUNG }), message({ updatedAt: YOUNG })]
    await tick()
    const left = db.orm.select().from(messages).all()
    expect(left.filter(({ id }) => !young.includes(id)).map(({ status }) => status)).toEqual([
      'scheduled',
      'queued',
      'sending',
      'submitted',
    ])
    expect(left.filter(({ id }) => young.includes(id))).toHaveLength(2)
  })

  test('take their file with the last of them', async () => {
    message({ mediaId: file('file_1') })
    message({ mediaId: file('file_2') })
    message({ mediaId: 'file_2', status: 'queued' })
    await tick({ filesMs: null })
    expect(
      db.orm
        .select()
        .from(media)
        .all()
        .map(({ id }) => id),
    ).toEqual(['file_2'])
    expect(discarded).toEqual(['file_1'])
  })

  test('behind one that is stamped with a time to come go, too', async () => {
    message({ createdAt: NOW + DAY })
    message()
    await tick()
    expect(count(messages)).toBe(1)
  })

  test('stay for ever with RETENTION_DAYS=0', async () => {
    message()
    await tick({ rowsMs: null })
    expect(count(messages)).toBe(1)
  })
})

describe('events', () => {
  test('go with their settled deliveries and the log of those, and stay with pending ones', async () => {
    const seqs = DELIVERY_STATUSES.map(status => {
      const seq = event()
      delivery(seq, { status, settledAt: status === 'pending' ? null : OLD })
      return { status, seq }
    })
    event()
    await tick()
    const pending = seqs.filter(({ status }) => status === 'pending').map(({ seq }) => seq)
    expect(
      db.orm
        .select()
        .from(events)
        .all()
        .map(({ seq }) => seq),
    ).toEqual(pending)
    expect([count(deliveries), count(deliveryAttempts)]).toEqual([1, 1])
  })

  test('of which a delivery was settled lately stay with it', async () => {
    delivery(event(), { settledAt: YOUNG })
    await tick()
    expect([count(events), count(deliveries)]).toEqual([1, 1])
  })

  test('stay while they are being replayed', async () => {
    event()
    const replay = {
      identityId: 'id_1',
      webhookId: 1,
      since: 0,
      until: NOW,
      onlyFailed: false,
      doneSeq: 0,
      lastSeq: 9,
      createdAt: NOW,
    }
    db.orm.insert(replays).values(replay).run()
    await tick()
    expect(count(events)).toBe(1)
    db.orm.delete(replays).run()
    await tick()
    expect(count(events)).toBe(0)
  })

  test('take their file along', async () => {
    event({ mediaId: file('file_1') })
    await tick({ filesMs: null })
    expect([db.orm.select().from(media).all(), discarded]).toEqual([[], ['file_1']])
  })
})

test('files go before their messages do, but not those that a message waits with', async () => {
  message({ mediaId: file('file_sent'), updatedAt: YOUNG })
  message({ mediaId: file('file_queued'), status: 'queued' })
  message({ mediaId: file('file_young', { createdAt: YOUNG }), updatedAt: YOUNG })
  file('file_elsewhere', { stored: false })
  await tick()
  expect(discarded).toEqual(['file_sent'])
  expect(
    Object.fromEntries(
      db.orm
        .select()
        .from(media)
        .all()
        .map(({ id, stored }) => [id, stored]),
    ),
  ).toEqual({
    file_sent: false,
    file_queued: true,
    file_young: true,
    file_elsewhere: false,
  })
})

test('idempotency keys go after their day', async () => {
  const repository = createIdempotencyRepository(db)
  for (let index = 0; index < 250; index++)
    await repository.begin({ holder: 'h', key: `${index}`, fingerprint: 'f' }, NOW - REMEMBERED_MS - 1)
  await repository.begin({ holder: 'h', key: 'young', fingerprint: 'f' }, NOW - REMEMBERED_MS + 1)
  await tick()
  expect(
    db.orm
      .select()
      .from(idempotencyKeys)
      .all()
      .map(({ key }) => key),
  ).toEqual(['young'])
})

test('of many rows each transaction is short, the file shrinks, and nothing is left', async () => {
  const text = 'x'.repeat(2_000)
  const rows = 10_000
  for (let start = 0; start < rows; start += 1_000) {
    await db.write(async () => {
      for (let index = 0; index < 1_000; index++) message({ text })
    })
  }
  const pagesBefore = pages()
  const tookMs: number[] = []
  db.committer.watch((_writes, took) => {
    tookMs.push(took)
  })
  await tick()
  expect(count(messages)).toBe(0)
  // In steps: none of them is the whole of it. The median tells of the work, whatever else the
  // machine does.
  expect(tookMs.length).toBeGreaterThan(20)
  expect(pauses).toBeGreaterThan(20)
  const median = tookMs.toSorted((one, other) => one - other)[Math.floor(tookMs.length / 2)] ?? 0
  expect(median).toBeLessThan(25)
  expect(pages()).toBeLessThan(pagesBefore / 2)
})

/** Size of the database file. */
const pages = () =>
  db.connection.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0

test('rows of other parts go in their own steps, and what was looked through is not looked through again', async () => {
  const asked: number[] = []
  const others = [
    {
      name: 'other rows',
      forget: async (after: number) => {
        asked.push(after)
        return { next: after < 400 ? after + 200 : null, removed: 1, again: null }
      },
    },
  ]
  const { tick: once } = retention({ others })
  await once(new AbortController().signal)
  expect(asked).toEqual([0, 200, 400])
  await once(new AbortController().signal)
  expect(asked).toEqual([0, 200, 400, 400])
  asked.length = 0
  await tick({ others, rowsMs: null })
  expect(asked).toEqual([])
})

test('what waits for somebody is looked at again, however much was looked through behind it', async () => {
  const asked: number[] = []
  const forget = async (after: number) => {
    asked.push(after)
    const step = { removed: 0, again: after === 200 ? 250 : null }
    return { ...step, next: after < 400 ? after + 200 : null }
  }
  const { tick: once } = retention({ others: [{ name: 'other rows', forget }] })
  await once(new AbortController().signal)
  expect(asked).toEqual([0, 200, 400])
  await once(new AbortController().signal)
  expect(asked).toEqual([0, 200, 400, 250, 450])
})

test('copies of files that could not go are tried again at the next tick, and keep nothing else from going', async () => {
  const { signal } = new AbortController()
  const repository = createIdempotencyRepository(db)
  await repository.begin({ holder: 'h', key: 'old', fingerprint: 'f' }, NOW - REMEMBERED_MS - 1)
  let fails = true
  const worker = retention({
    async forgetCopies(before) {
      if (fails) throw new Error('EIO')
      forgotten.push(before)
    },
  })
  await expect(worker.tick(signal)).rejects.toThrow('EIO')
  expect(db.orm.select().from(idempotencyKeys).all()).toEqual([])
  fails = false
  await worker.tick(signal)
  expect(forgotten).toEqual([NOW - 30 * DAY])
})

test('copies of files go after as many days as files do, or as messages where files go with them, and once a day', async () => {
  const { signal } = new AbortController()
  const worker = retention({ filesMs: 7 * DAY })
  await worker.tick(signal)
  await worker.tick(signal)
  expect(forgotten).toEqual([NOW - 7 * DAY])
  await retention({ filesMs: null }).tick(signal)
  expect(forgotten).toEqual([NOW - 7 * DAY, NOW - 30 * DAY])
  await retention({ filesMs: null, rowsMs: null }).tick(signal)
  expect(forgotten).toHaveLength(2)
})
