/** A nudge is never lost, whenever it comes. */
import { expect, test } from 'bun:test'
import { Nudge } from '../../../src/runtime/worker.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

const A_DAY_MS = 86_400_000
const never = new AbortController().signal

test('a nudge during the wait ends it', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  const waiting = nudge.wait(clock, A_DAY_MS, never)
  nudge.nudge()
  await waiting
  expect(clock.sleeping).toBe(0)
})

test('a nudge before the wait ends it at once, once', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  nudge.nudge()
  nudge.nudge()
  await nudge.wait(clock, A_DAY_MS, never)
  const again = nudge.wait(clock, 1_000, never)
  await settled()
  expect(clock.sleeping).toBe(1)
  await clock.advance(1_000)
  await again
})

test('a nudge while the loop works is found at its next wait', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  const found: number[] = []
  let work = 3
  const stop = new AbortController()
  const loop = (async () => {
    while (!stop.signal.aborted) {
      // A nudge arrives between looking for work and waiting.
      const seen = work
      if (seen > 0) {
        work -= 1
        found.push(seen)
        nudge.nudge()
      }
      await nudge.wait(clock, A_DAY_MS, stop.signal)
    }
  })()
  await settled()
  expect(found).toEqual([3, 2, 1])
  stop.abort()
  await loop
})

test('a nudge that comes in the same turn as the end of the wait is kept for the next', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  const first = nudge.wait(clock, 1_000, never)
  await clock.advance(1_000)
  await first
  nudge.nudge()
  await nudge.wait(clock, A_DAY_MS, never)
})

test('the wait ends by itself, and when the worker is stopped', async () => {
  const clock = new ManualClock()
  const nudge = new Nudge()
  const byTime = nudge.wait(clock, 1_000, never)
  await clock.advance(1_000)
  await byTime
  const controller = new AbortController()
  const bySignal = nudge.wait(clock, A_DAY_MS, controller.signal)
  controller.abort()
  await bySignal
  await nudge.wait(clock, A_DAY_MS, controller.signal)
  expect(clock.sleeping).toBe(0)
})
