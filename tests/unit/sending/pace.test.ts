/** The pace of a device: a burst, then one message an interval. */
import { expect, test } from 'bun:test'
import { afterSending, type Pace } from '../../../src/modules/sending/limits.ts'

const PACE: Pace = { intervalMs: 1_000, jitter: 0, burst: 3 }

/** When messages are sent that all wait at `now`, from then on. */
function sendTimes(pace: Pace, count: number, now = 10_000, random?: () => number): number[] {
  let nextSendAt = 0
  let at = now
  return Array.from({ length: count }, () => {
    at = Math.max(at, nextSendAt)
    nextSendAt = afterSending(pace, nextSendAt, at, random)
    return at - now
  })
}

test('a burst goes at once, the rest one an interval', () => {
  expect(sendTimes(PACE, 6)).toEqual([0, 0, 0, 1_000, 2_000, 3_000])
})

test('without a burst every message waits for its turn', () => {
  expect(sendTimes({ ...PACE, burst: 1 }, 3)).toEqual([0, 1_000, 2_000])
})

test('jitter moves each interval by at most its share, either way', () => {
  expect(sendTimes({ ...PACE, burst: 1, jitter: 0.25 }, 3, 10_000, () => 0)).toEqual([0, 750, 1_500])
  expect(sendTimes({ ...PACE, burst: 1, jitter: 0.25 }, 3, 10_000, () => 1)).toEqual([0, 1_250, 2_500])
})

test.each([0, 1])('jitter makes a burst neither longer nor shorter (at its bound %d)', bound => {
  const [, , third, fourth, fifth] = sendTimes({ ...PACE, jitter: 0.25 }, 5, 10_000, () => bound)
  const interval = bound === 0 ? 750 : 1_250
  expect([third, fourth, fifth]).toEqual([0, interval, 2 * interval])
})

test('after a rest the burst is there again, and no more than the burst', () => {
  const nextSendAt = afterSending(PACE, 0, 10_000)
  const later = 10_000 + 3_600_000
  expect(afterSending(PACE, nextSendAt, later)).toBe(later - 1_000)
  expect(afterSending(PACE, later - 1_000, later)).toBe(later)
  expect(afterSending(PACE, later, later)).toBe(later + 1_000)
})

test('what is a little late catches up', () => {
  expect(afterSending(PACE, 20_000, 21_500)).toBe(21_000)
})
