/** Times as clients write them. */
import { expect, test } from 'bun:test'
import { instantIn } from '../../../src/lib/instant.ts'

test.each([
  ['2026-12-31T23:59:59Z', '2026-12-31T23:59:59.000Z'],
  ['2026-12-31t23:59:59.5z', '2026-12-31T23:59:59.500Z'],
  ['2026-12-31T23:59:59.123456+05:30', '2026-12-31T18:29:59.123Z'],
  ['2026-12-31T23:59:60Z', '2027-01-01T00:00:00.000Z'],
  ['2028-02-29T00:00:00-00:00', '2028-02-29T00:00:00.000Z'],
])('%s is %s', (text, instant) => {
  expect(instantIn(text)).toBe(Date.parse(instant))
})

test.each([
  '',
  'tomorrow',
  '2026-12-31',
  '2026-12-31T23:59Z',
  '2026-12-31T23:59:59',
  '2026-12-31T24:00:00Z',
  '2026-12-31T10:60:00Z',
  '2026-13-01T00:00:00Z',
  '2027-02-29T00:00:00Z',
  '2026-12-31 23:59:59Z',
  '2026-12-31T23:59:59+0100',
])('%p is none', text => {
  expect(instantIn(text)).toBeNull()
})
