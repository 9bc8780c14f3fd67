/** The meaning of each refusal for the requests queued behind it. */
import { expect, test } from 'bun:test'
import { type Refusal, refusalOf } from '../../../src/lib/refusal.ts'

test.each<[Refusal, number[]]>([
  ['passing', [408, 425, 429, 500, 502, 503, 504, 507, 520]],
  ['place', [301, 307, 401, 403, 404, 405, 407, 410, 501]],
  ['final', [400, 406, 409, 411, 413, 414, 415, 422, 431, 451]],
])('%s: %j', (meaning, statuses) => {
  expect(statuses.map(refusalOf)).toEqual(statuses.map(() => meaning))
})
