/**
 * The pace of a device on a real database: bursts, intervals and their jitter, over restarts, and
 * when messages are said to be due.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { type MessageStore, messageStore, messagesOn } from '../../support/messages.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

const START = Date.UTC(2026, 3, 27, 10, 0, 0)
const INTERVAL = 8_000

let db: TempDb
let store: MessageStore
let now: number
let pace: { intervalMs: number; jitter: number; burst: number }
let api: Messages
/** When each message was sent, after the start, and to whom. */
let sent: { at: number; to: string; id: string }[]

beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
  now = START
  pace = { intervalMs: INTERVAL, jitter: 0.25, burst: 5 }
  sent = []
  restart()
})
afterEach(() => db.destroy())

function restart(): void {
  store = messageStore(db)
  const device = db.orm.query.devices.findFirst().sync() ?? null
  const clock = { now: () => now, steady: () => now, sleep: () => Promise.resolve() }
  api = messagesOn(store, {
    devices: { linked: async () => [], find: async () => device },
    paceOf: () => pace,
    clock,
  })
}

const accept = (contact: string) =>
  api.accept({ identityId: 'id_1', deviceId: '237', platform: 'wa', contact, text: 'hi' })
const contacts = (count: number, prefix = 'c') =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`).join(',')

/**
 * Does as the outbox does, one claim after the other, with time going by only while it waits.
 * @param count how many to send
 */
async function work(count: number): Promise<void> {
  const until = sent.length + count
  while (sent.length < until) {
    const request = {
      leaseId: 'l',
      now,
      maxLanes: 128,
      maxMessagesPerLane: 32,
      paceOf: () => pace,
    }
    const lanes = await store.queue.claim(request)
    for (const lane of lanes) {
      for (const message of lane.messages) {
        sent.push({ at: now - START, to: message.recipient, id: message.id })
        await store.queue.settle(
          message,
          { outcome: 'submitted', eventId: `$${message.id}`, roomId: '!r:s', bridgeBot: null },
          now,
        )
      }
      await store.queue.release(lane, now)
    }
    if (lanes.length === 0) now = Math.max(now + 1, (await store.queue.nextDueAt()) ?? Number.NaN)
  }
}

const intervals = (from = 0) =>
  sent.slice(from + 1).map(({ at }, index) => at - (sent[from + index]?.at ?? 0))
const average = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length

describe.each([
  ['to as many contacts', () => accept(contacts(300))],
  [
    'to one contact',
    async () => {
      for (let index = 0; index < 300; index++) await accept('1')
    },
  ],
])('300 messages %s', (_, send) => {
  test('a burst, then one an interval on average, none sooner or later than the jitter lets it', async () => {
    await send()
    await work(300)
    expect(sent.slice(0, 5).every(({ at }) => at === 0)).toBe(true)
    // The first after the burst comes as if the burst's last had been in its place.
    const paced = intervals(4)
    expect(Math.min(...paced)).toBeGreaterThanOrEqual(0.75 * INTERVAL)
    expect(Math.max(...paced)).toBeLessThanOrEqual(1.25 * INTERVAL + 1)
    expect(average(paced)).toBeGreaterThan(0.95 * INTERVAL)
    expect(average(paced)).toBeLessThan(1.05 * INTERVAL)
    expect(new Set(sent.map(({ id }) => id)).size).toBe(300)
  })
})

describe('over a restart', () => {
  test('the pace goes on where it was', async () => {
    await accept(contacts(20))
    await work(10)
    await store.queue.releaseAbandoned(now)
    restart()
    await work(10)
    const paced = intervals(4)
    expect(Math.min(...paced)).toBeGreaterThanOrEqual(0.75 * INTERVAL)
    expect(Math.max(...paced)).toBeLessThanOrEqual(1.25 * INTERVAL + 1)
  })

  test('after hours in which nothing ran no more than a burst goes at once, in the order it would have', async () => {
    pace = { ...pace, jitter: 0 }
    await accept(contacts(100))
    await work(10)
    now += 6 * 3_600_000
    restart()
    const resumed = now - START
    await work(90)
    const after = sent.slice(10).map(({ at }) => at - resumed)
    expect(after.slice(0, 8)).toEqual([0, 0, 0, 0, 0, 1, 2, 3].map(step => step * INTERVAL))
    expect(after.at(-1)).toBe(85 * INTERVAL)
    expect(sent.map(({ to }) => to)).toEqual(contacts(100).split(',').sort())
  })

  test.each([
    [0, 0],
    [1_000, 1_250],
  ])('a pace of %i ms instead of an hour holds from the start on', async (intervalMs, longest) => {
    pace = { intervalMs: 3_600_000, jitter: 0.25, burst: 1 }
    await accept(contacts(2))
    await work(1)
    pace = { ...pace, intervalMs }
    restart()
    await store.queue.releaseAbandoned(now)
    await work(1)
    await accept('fresh')
    await work(1)
    expect(intervals().every(ms => ms <= longest + 1)).toBe(true)
  })

  test('what is a little late catches up', async () => {
    pace = { ...pace, jitter: 0 }
    await accept(contacts(10))
    await work(5)
    now += 3 * INTERVAL
    await work(3)
    expect(sent.slice(5).map(({ at }) => at)).toEqual([3 * INTERVAL, 3 * INTERVAL, 3 * INTERVAL])
  })
})

describe('messages that are taken back', () => {
  const cancel = (ids: string[]) => Promise.all(ids.map(id => api.cancel('id_1', id)))

  test('take nothing of the pace: what is sent next doesn’t wait for any of them', async () => {
    const ids = (await accept(contacts(100))).map(({ id }) => id)
    await work(5)
    await cancel(ids.filter(id => !sent.some(one => one.id === id)))
    const [fresh] = await accept('fresh')
    await work(1)
    expect(sent[5]).toMatchObject({ to: 'fresh', id: fresh?.id })
    expect(sent[5]?.at).toBeLessThanOrEqual(1.25 * INTERVAL + 1)
    await work(0)
    expect(db.orm.query.outboxLanes.findMany().sync()).toEqual([])
  })

  test('take nothing of it when they expire, either', async () => {
    await accept(contacts(5, 'a'))
    await work(5)
    await api.accept({
      identityId: 'id_1',
      deviceId: '237',
      platform: 'wa',
      contact: contacts(95),
      text: 'hi',
      expiresInS: 6,
    })
    now += 6_000
    expect(await store.endings.expire(now, 100)).toMatchObject({ count: 95 })
    await accept('fresh')
    await work(1)
    expect(sent[5]?.at).toBeLessThanOrEqual(1.25 * INTERVAL + 1)
  })

  test.each([1, 5])(
    'with a burst of %i: what waits keeps its order, and all of it keeps to the pace',
    async burst => {
      pace = { ...pace, burst }
      const all = await accept(contacts(300))
      await work(burst + 20)
      const order = all
        .filter(({ id }) => !sent.some(one => one.id === id))
        .toSorted((one, other) => (one.to < other.to ? -1 : 1))
      // All of the next ones, some of those after them, and the last ones.
      const gone = order.filter((_, index) => index < 30 || index % 3 === 0 || index > 200)
      await cancel(gone.map(({ id }) => id))
      await accept(contacts(40, 'fresh'))
      const kept = order.filter(one => !gone.includes(one)).map(({ to }) => to)
      const before = sent.length
      await work(kept.length + 40)
      expect(sent.slice(before, before + kept.length).map(({ to }) => to)).toEqual(kept)
      const paced = intervals(burst - 1)
      expect(Math.min(...paced)).toBeGreaterThanOrEqual(0.75 * INTERVAL)
      expect(Math.max(...paced)).toBeLessThanOrEqual(1.25 * INTERVAL + 1)
    },
  )

  test('leave the turn of their recipient to what else waits for them', async () => {
    const ids = (await accept(contacts(10))).map(({ id }) => id)
    await accept('c9')
    await work(5)
    await cancel(ids.slice(9))
    await work(5)
    expect(sent.at(-1)?.to).toBe('c9')
  })
})

describe('due_at', () => {
  beforeEach(() => {
    pace = { intervalMs: INTERVAL, jitter: 0, burst: 2 }
  })

  /** Compares when each message is said to be due with when it is sent. */
  async function expectRight(count: number): Promise<void> {
    const page = await api.list('id_1', 500)
    const said = new Map(page.map(({ id, due_at }) => [id, Date.parse(due_at ?? '') - START]))
    await work(count)
    expect(sent.slice(-count).map(({ id, at }) => ({ id, at: said.get(id) ?? at }))).toEqual(
      sent.slice(-count).map(({ id, at }) => ({ id, at })),
    )
  }

  test.each([
    ['of one contact', ['1', '1', '1', '1', '1', '1']],
    ['of many contacts', [contacts(30)]],
    ['of contacts with several messages each', ['a,b,c', 'a,b', 'a', 'd', 'a,d']],
  ])('is when they are sent: messages %s', async (_, sends) => {
    now = START - 1
    for (const contact of sends) await accept(contact)
    now = START
    await expectRight((await api.list('id_1', 500)).length)
  })

  test('stays right while they are being sent', async () => {
    now = START - 1
    for (const contact of ['a,b,c', 'a,b', 'a', 'd', 'a,d']) await accept(contact)
    now = START
    await work(4)
    await expectRight(5)
  })

  test('is now for a device without a pace, and null for what waits no more', async () => {
    pace = { ...pace, intervalMs: 0 }
    const [{ id } = { id: '' }] = await accept('1')
    expect((await api.get('id_1', id)).due_at).toBe('2026-04-27T10:00:00Z')
    await work(1)
    expect((await api.get('id_1', id)).due_at).toBeNull()
    const [other] = await accept('2')
    expect((await api.cancel('id_1', other?.id ?? '')).due_at).toBeNull()
  })

  test('is not told where more recipients come first than are looked at', async () => {
    for (let thousand = 0; thousand <= 5; thousand++)
      await accept(contacts(thousand < 5 ? 1_000 : 5, `${thousand}-`))
    await store.queue.claim({ leaseId: 'l', now, maxLanes: 4, maxMessagesPerLane: 1, paceOf: () => pace })
    const dueTo = new Map<string, string | null>()
    for (let before: string | undefined; dueTo.size < 5_005; ) {
      const page = await api.list('id_1', 1_000, before)
      for (const { to, due_at } of page) dueTo.set(to, due_at)
      before = page.at(-1)?.id
    }
    // In the order of their names: two are sent at once.
    expect(['0-0', '0-1', '0-10', '0-100', '5-2', '5-3', '5-4'].map(to => dueTo.get(to))).toEqual([
      null,
      null,
      '2026-04-27T10:00:08Z',
      '2026-04-27T10:00:16Z',
      '2026-04-27T21:06:48Z',
      null,
      null,
    ])
    await accept('0-10')
    const [{ id } = { id: '' }] = await accept('0-10')
    expect((await api.get('id_1', id)).due_at).toBeNull()
  })

  test('is when it is tried again after a failure', async () => {
    pace = { ...pace, intervalMs: 0 }
    const [{ id } = { id: '' }] = await accept('1')
    const [lane] = await store.queue.claim({
      leaseId: 'l',
      now,
      maxLanes: 1,
      maxMessagesPerLane: 1,
      paceOf: () => pace,
    })
    if (!lane?.messages[0]) throw new Error('nothing was claimed')
    await store.queue.settle(lane.messages[0], { outcome: 'retry', reason: 'down', refusedSince: null }, now)
    expect((await api.get('id_1', id)).due_at).toBe('2026-04-27T10:00:00Z')
    await store.queue.release(lane, now + 30_000)
    expect((await api.get('id_1', id)).due_at).toBe('2026-04-27T10:00:30Z')
  })
})
