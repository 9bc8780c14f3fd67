/** Random ids: shape, order, and no repeats. */
import { expect, test } from 'bun:test'
import { randomToken, timeOrderedId } from '../../../src/lib/tokens.ts'

test('a token is its prefix and so many random bytes in base64url', () => {
  expect(randomToken('mt_')).toMatch(/^mt_[A-Za-z0-9_-]{43}$/)
  expect(randomToken('', 6)).toMatch(/^[A-Za-z0-9_-]{8}$/)
  expect(new Set(Array.from({ length: 1_000 }, () => randomToken('', 16))).size).toBe(1_000)
})

test('ids sort by the time they were made', () => {
  const ids = Array.from({ length: 10_000 }, () => timeOrderedId('msg_'))
  expect(ids[0]).toMatch(/^msg_[0-9a-f]{32}$/)
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})
