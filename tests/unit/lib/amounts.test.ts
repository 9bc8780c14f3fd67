/** Limits in words: rounded down, as more than a limit isn't taken. */
import { expect, test } from 'bun:test'
import { durationInWords, sizeInWords } from '../../../src/lib/amounts.ts'

test.each([
  [16 * 1024 * 1024, '16 MB'],
  [100_000_000, '100 MB'],
  [1_990_000, '1.9 MB'],
  [64 * 1024, '64 KB'],
  [1_999, '1.9 KB'],
  [999, '999 bytes'],
])('%i bytes are %s', (bytes, words) => {
  expect(sizeInWords(bytes)).toBe(words)
})

test.each([
  [90_000, '90 seconds'],
  [300_000, '5 minutes'],
  [1_990, '1.9 seconds'],
  [1_000, '1 second'],
])('%i ms are %s', (ms, words) => {
  expect(durationInWords(ms)).toBe(words)
})
