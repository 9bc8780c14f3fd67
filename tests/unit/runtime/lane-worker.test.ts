/** The lane machine, in memory: order, leases, and lanes that can't be given back. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createLaneWorker, type ItemEnd, type LaneWorkerOptions } from '../../../src/runtime/lane-worker.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

interface Row {
  items: string[]
  dueAt: number
  leaseId: string | null
}

interface Lane {
  name: string
  leaseId: string
  items: string[]
}

let clock: ManualClock
let rows: Map<string, Row>
let done: string[]
/** An item's end; by default it is done at once. */
let handle: (item: string, lane: Lane) => ItemEnd | Promise<ItemEnd>
let wake: () => void
let listeners: number
let stop: () => Promise<void>

beforeEach(() => {
  clock = new ManualClock()
  rows = new Map()
  done = []
  handle = () => ({})
  wake = () => undefined
  listeners = 0
  stop = async () => undefined
})
afterEach(() => stop())

function put(name: string, ...items: string[]): void {
  const row = rows.get(name) ?? { items: [], dueAt: clock.now(), leaseId: null }
  row.items.push(...items)
  rows.set(name, row)
}

const queue: LaneWorkerOptions<Lane, string>['queue'] = {
  async release({ name, leaseId }, dueAt) {
    const row = rows.get(name)
    if (row?.leaseId !== leaseId) return
    if (row.items.length === 0) rows.delete(name)
    else Object.assign(row, { dueAt, leaseId: null })
  },
  async nextDueAt(claimedAt) {
    const times = [...rows.values()].filter(row => row.leaseId === null).map(row => row.dueAt)
    const later = times.filter(dueAt => dueAt > claimedAt)
    return later.length === 0 ? null : Math.min(...later)
  },
  async releaseAbandoned() {
    for (const row of rows.values()) row.leaseId = null
  },
}

function newWorker(change: Partial<LaneWorkerOptions<Lane, string>> = {}): Worker {
  return createLaneWorker<Lane, string>({
    name: 'test',
    queue,
    maxLanes: 2,
    async claim({ leaseId, now, maxLanes }) {
      const due = [...rows].filter(([, row]) => row.leaseId === null && row.dueAt <= now).slice(0, maxLanes)
      for (const [, row] of due) row.leaseId = leaseId
      return due.map(([name, row]) => ({ name, leaseId, items: [...row.items] }))
    },
    itemsOf: lane => lane.items,
    begin: lane => async item => {
      const end = await handle(item, lane)
      if (end.heldUntil !== undefined) return end
      done.push(item)
      const items = rows.get(lane.name)?.items
      items?.splice(items.indexOf(item), 1)
      return end
    },
    listen(listener) {
      wake = listener
      listeners++
      return () => listeners--
    },
    describe: () => ({}),
    clock,
    logger: silentLogger,
    ...change,
  })
}

function start(worker: Worker = newWorker()): Worker {
  const controller = new AbortController()
  const running = worker.run(controller.signal)
  const before = stop
  stop = async () => {
    await before()
    controller.abort()
    await running
  }
  return worker
}

async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settled()
}

test('items of a lane are done in order, and its row is gone afterwards', async () => {
  put('a', '1', '2', '3')
  start()
  await idle()
  expect(done).toEqual(['1', '2', '3'])
  expect(rows.size).toBe(0)
})

test('items that were done with the one before aren’t begun', async () => {
  put('a', '1', '2', '3', '4')
  const begun: [string, readonly string[]][] = []
  const begin = () => async (item: string, behind: readonly string[]) => {
    begun.push([item, behind])
    rows.get('a')?.items.splice(0)
    return item === '1' ? { alsoDone: 2 } : {}
  }
  start(newWorker({ begin }))
  await idle()
  expect(begun).toEqual([
    ['1', ['2', '3', '4']],
    ['4', []],
  ])
})

test('an item that is held keeps those behind it waiting until its time, while other lanes go on', async () => {
  put('a', 'late', 'behind')
  put('b', 'other')
  const heldUntil = clock.now() + 1_000
  handle = item => (item === 'late' && clock.now() < heldUntil ? { heldUntil } : {})
  start()
  await idle()
  expect(done).toEqual(['other'])
  await clock.advance(999)
  expect(done).toEqual(['other'])
  await clock.advance(1)
  await idle()
  expect(done).toEqual(['other', 'late', 'behind'])
})

test('the next item doesn’t wait for a settlement; the end of the lane does', async () => {
  const settling = Promise.withResolvers<void>()
  let isEnded = false
  put('a', '1', '2')
  handle = item => (item === '1' ? { settling: settling.promise } : {})
  start(newWorker({ ended: () => (isEnded = true) }))
  await idle()
  expect(done).toEqual(['1', '2'])
  expect(isEnded).toBe(false)
  settling.resolve()
  await idle()
  expect(isEnded).toBe(true)
})

test('no more lanes are in flight than may be; the end of one lets in the next', async () => {
  const gates = new Map(['a', 'b', 'c'].map(name => [name, Promise.withResolvers<ItemEnd>()]))
  const begun: string[] = []
  for (const name of gates.keys()) put(name, name)
  handle = item => {
    begun.push(item)
    return gates.get(item)?.promise ?? {}
  }
  start()
  await idle()
  expect(begun).toEqual(['a', 'b'])
  gates.get('a')?.resolve({})
  await idle()
  await clock.advance(2)
  expect(begun).toEqual(['a', 'b', 'c'])
  for (const gate of gates.values()) gate.resolve({})
  await idle()
  expect(done).toEqual(['a', 'b', 'c'])
})

test('a lane is its holder’s however long it takes', async () => {
  const gate = Promise.withResolvers<ItemEnd>()
  let begun = 0
  put('a', '1')
  handle = () => {
    begun++
    return gate.promise
  }
  start()
  for (let hour = 0; hour < 30; hour++) await clock.advance(3_600_000)
  expect(begun).toBe(1)
  gate.resolve({})
  await idle()
  expect(done).toEqual(['1'])
})

test('leases that are there at the start are abandoned: their lanes are done', async () => {
  put('a', '1')
  for (const row of rows.values()) row.leaseId = 'of a process that is gone'
  start()
  await idle()
  expect(done).toEqual(['1'])
})

test('what comes while it is idle is done at a wake, or within five seconds', async () => {
  start()
  await idle()
  put('a', 'woken')
  wake()
  await idle()
  expect(done).toEqual(['woken'])
  put('c', 'found')
  await clock.advance(5_000)
  await idle()
  expect(done).toEqual(['woken', 'found'])
})

test('a lane that can’t be settled is given back as soon as that is possible, and done again', async () => {
  let isFull = true
  put('a', '1')
  const begun: string[] = []
  handle = item => {
    begun.push(item)
    return isFull ? { settling: Promise.reject(new Error('full')), heldUntil: clock.now() } : {}
  }
  const release: typeof queue.release = (...args) =>
    isFull ? Promise.reject(new Error('full')) : queue.release(...args)
  start(newWorker({ queue: { ...queue, release } }))
  for (let second = 0; second < 60; second++) await clock.advance(1_000)
  expect(begun).toEqual(['1'])
  isFull = false
  await clock.advance(3_000)
  await idle()
  expect(begun).toEqual(['1', '1'])
  expect(done).toEqual(['1'])
})

test('when it stops it finishes the item under way, gives the lane back, and listens no more', async () => {
  const gate = Promise.withResolvers<ItemEnd>()
  put('a', '1', '2')
  handle = () => gate.promise
  start()
  await idle()
  const stopping = stop()
  stop = async () => undefined
  gate.resolve({})
  await stopping
  expect(done).toEqual(['1'])
  expect(rows.get('a')).toMatchObject({ items: ['2'], leaseId: null })
  expect(listeners).toBe(0)
})

test('a run that fails ends only with its lanes, so that the next one takes none that is in use', async () => {
  const gate = Promise.withResolvers<ItemEnd>()
  let claims = 0
  put('a', '1')
  handle = () => gate.promise
  const worker = newWorker({
    async claim({ leaseId }) {
      if (claims++ > 0) throw new Error('no database')
      return [{ name: 'a', leaseId, items: ['1'] }]
    },
  })
  let isOver = false
  const running = worker.run(new AbortController().signal).finally(() => {
    isOver = true
  })
  running.catch(() => undefined)
  await idle()
  await clock.advance(2)
  expect(claims).toBe(2)
  expect(isOver).toBe(false)
  gate.resolve({})
  await expect(running).rejects.toThrow('no database')
})
