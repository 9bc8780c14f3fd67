/** The pace of a device: a burst, then one message an interval. */
import { expect, test } from 'bun:test'
import { nextSlot, type Pace } from '../../../src/modules/sending/pace.ts'

const PACE: Pace = { intervalMs: 1_000, jitter: 0, burst: 3 }

function slots(pace: Pace, count: number, now = 10_000, random?: () => number): number[] {
  let restAt = 0
  return Array.from({ length: count }, () => {
    const slot = nextSlot(pace, restAt, now, random)
    restAt = slot.restAt
    return slot.at - now
  })
}

test('a burst goes at once, the rest one an interval', () => {
  expect(slots(PACE, 6)).toEqual([0, 0, 0, 1_000, 2_000, 3_000])
})

test('without a burst every message waits for its turn', () => {
  expect(slots({ ...PACE, burst: 1 }, 3)).toEqual([0, 1_000, 2_000])
})

test('jitter moves each interval by at most its share, either way', () => {
  expect(slots({ ...PACE, burst: 1, jitter: 0.25 }, 3, 10_000, () => 0)).toEqual([0, 750, 1_500])
  expect(slots({ ...PACE, burst: 1, jitter: 0.25 }, 3, 10_000, () => 1)).toEqual([0, 1_250, 2_500])
})

test.each([0, 1])('jitter makes a burst neither longer nor shorter (at its bound %d)', bound => {
  const [, , third, fourth, fifth] = slots({ ...PACE, jitter: 0.25 }, 5, 10_000, () => bound)
  const interval = bound === 0 ? 750 : 1_250
  expect([third, fourth, fifth]).toEqual([0, interval, 2 * interval])
})

test('after a rest the burst is there again, and no more than the burst', () => {
  const { restAt } = nextSlot(PACE, 0, 10_000)
  const later = 10_000 + 3_600_000
  expect(nextSlot(PACE, restAt, later)).toEqual({ at: later, restAt: later + 1_000 })
})
