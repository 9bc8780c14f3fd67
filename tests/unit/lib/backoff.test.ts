/** Backoff: doubles up to its cap, and spreads by its jitter. */
import { describe, expect, test } from 'bun:test'
import { backoffMs, jittered } from '../../../src/lib/backoff.ts'

const OPTIONS = { baseMs: 100, capMs: 3_000, jitter: 0 }

describe('backoffMs', () => {
  test.each([
    [1, 100],
    [2, 200],
    [3, 400],
    [5, 1_600],
    [6, 3_000],
    [7, 3_000],
    [10_000, 3_000],
    [0, 100],
    [-1, 100],
  ])('after %i failures waits %i ms', (attempt, ms) => {
    expect(backoffMs(attempt, OPTIONS)).toBe(ms)
  })

  test('is spread by a quarter unless told otherwise', () => {
    const options = { baseMs: 100, capMs: 3_000 }
    expect(backoffMs(1, options, () => 0)).toBe(75)
    expect(backoffMs(1, options, () => 0.5)).toBe(100)
    expect(backoffMs(1, options, () => 0.9999)).toBe(125)
  })
})

test.each([
  [0, 1_000, 0, 1_000],
  [0.5, 1_000, 0, 500],
  [0.5, 1_000, 0.9999999, 1_500],
  [1, 1_000, 0, 0],
  [0.25, 0, 0.3, 0],
])('jitter %p of %p ms at random %p is %p ms', (jitter, ms, random, expected) => {
  expect(jittered(ms, jitter, () => random)).toBe(expected)
})
