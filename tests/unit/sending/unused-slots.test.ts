/** When slots of a device's pace that nobody uses are given back: soon, but not with each message, and whatever was forgotten meanwhile. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { SlotReturns } from '../../../src/modules/sending/slot-repository.ts'
import { createUnusedSlots } from '../../../src/modules/sending/unused-slots.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

let clock: ManualClock
let supervisor: Supervisor
/** Devices whose slots were looked at. */
let closed: string[]
/** How long a look takes. */
let tookMs: number

beforeEach(() => {
  clock = new ManualClock()
  supervisor = new Supervisor(clock, silentLogger)
  closed = []
  tookMs = 0
})
afterEach(() => supervisor.stop(1_000))

function start(change: Partial<SlotReturns> = {}) {
  const unused = createUnusedSlots({
    slots: {
      pacedDevices: async () => [],
      close: async deviceRowId => {
        closed.push(deviceRowId)
        await clock.advance(tookMs)
      },
      ...change,
    },
    paceOf: () => ({ intervalMs: 8_000, jitter: 0, burst: 5 }),
    clock,
  })
  supervisor.start(unused.worker)
  return unused
}

async function advance(ms: number) {
  await clock.advance(ms)
  for (let turn = 0; turn < 20; turn++) await settled()
}

test('a thousand messages that end within a second move what waits behind them once', async () => {
  const { note } = start()
  await advance(0)
  for (let index = 0; index < 1_000; index++) note('dev_1')
  note('dev_2')
  await advance(1_000)
  expect(closed).toEqual(['dev_1', 'dev_2'])
  await advance(5_000)
  expect(closed).toHaveLength(2)
  note('dev_1')
  await advance(1_000)
  expect(closed).toEqual(['dev_1', 'dev_2', 'dev_1'])
})

test('what a kill left is looked for at the start', async () => {
  start({ pacedDevices: async () => ['dev_1', 'dev_2'] })
  await advance(0)
  expect(closed).toEqual(['dev_1', 'dev_2'])
})

test('where much waits it is looked less often', async () => {
  const { note } = start()
  await advance(0)
  tookMs = 300
  note('dev_1')
  await advance(1_000)
  note('dev_1')
  await advance(5_000)
  expect(closed).toEqual(['dev_1'])
  await advance(1_000)
  expect(closed).toEqual(['dev_1', 'dev_1'])
})
