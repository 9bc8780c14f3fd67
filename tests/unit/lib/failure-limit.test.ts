/** Failures are counted in windows, and in bounded memory. */
import { expect, test } from 'bun:test'
import { createFailureLimit } from '../../../src/lib/failure-limit.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const WINDOW_MS = 60_000

function limited(maxFailures: number, maxKeys?: number) {
  const clock = new ManualClock()
  const limit = createFailureLimit({
    maxFailures,
    windowMs: WINDOW_MS,
    clock,
    ...(maxKeys === undefined ? {} : { maxKeys }),
  })
  return { clock, limit }
}

test('the last failure that is allowed shuts the key out, and the end of the window lets it in', async () => {
  const { clock, limit } = limited(3)
  expect([limit.record('a'), limit.record('a')]).toEqual([false, false])
  expect(limit.waitMs('a')).toBe(0)
  await clock.advance(10_000)
  expect(limit.record('a')).toBeTrue()
  expect(limit.waitMs('a')).toBe(50_000)
  expect(limit.record('a')).toBeFalse()
  expect(limit.waitMs('b')).toBe(0)
  await clock.advance(50_000)
  expect(limit.waitMs('a')).toBe(0)
  expect(limit.record('a')).toBeFalse()
})

test('a clock that is set back keeps nobody out for longer than a window', () => {
  let now = 1_000_000
  const limit = createFailureLimit({
    maxFailures: 1,
    windowMs: WINDOW_MS,
    clock: { now: () => now },
  })
  limit.record('a')
  now -= 500_000
  expect(limit.waitMs('a')).toBe(0)
})

test('of too many keys the oldest are forgotten, and those that are over at once', async () => {
  const { clock, limit } = limited(1, 3)
  for (const key of ['a', 'b', 'c', 'd']) limit.record(key)
  expect(['a', 'b', 'c', 'd'].map(key => limit.waitMs(key) > 0)).toEqual([false, true, true, true])
  await clock.advance(WINDOW_MS)
  limit.record('e')
  expect(['b', 'c', 'd', 'e'].map(key => limit.waitMs(key) > 0)).toEqual([false, false, false, true])
})
