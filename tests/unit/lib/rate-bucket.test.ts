/** Token buckets by key. */
import { expect, test } from 'bun:test'
import { createRateBucket } from '../../../src/lib/rate-bucket.ts'

let now = 0
const clock = { steady: () => now }

test('gives what is in it, and then what has come back', () => {
  now = 1_000
  const bucket = createRateBucket({ size: 10, everyMs: 100, clock })
  expect(bucket.take('a', 7)).toBe(0)
  expect(bucket.take('a', 7)).toBe(400)
  // A refusal takes nothing.
  expect(bucket.take('a', 3)).toBe(0)
  expect(bucket.take('b', 10)).toBe(0)
  now += 150
  expect(bucket.take('a', 2)).toBe(50)
  expect(bucket.take('a', 1)).toBe(0)
  now += 1_000_000
  expect(bucket.take('a', 10)).toBe(0)
  expect(bucket.take('a', 1)).toBe(100)
})

test('is full again for a key that was forgotten', () => {
  const bucket = createRateBucket({ size: 1, everyMs: 100, maxKeys: 1, clock })
  expect(bucket.take('a', 1)).toBe(0)
  expect(bucket.take('b', 1)).toBe(0)
  expect(bucket.take('a', 1)).toBe(0)
})
