import { expect, test } from 'bun:test'
import { bearerToken } from '../../../src/lib/bearer-token.ts'

test.each([
  ['Bearer mt_abc', 'mt_abc'],
  ['bearer   mt_abc  ', 'mt_abc'],
  ['BEARER a b', 'a b'],
  ['Bearer', undefined],
  ['Bearer ', undefined],
  ['Basic abc', undefined],
  ['mt_abc', undefined],
])('%p → %p', (authorization, token) => {
  expect(bearerToken(new Request('http://localhost', { headers: { authorization } }))).toBe(token)
})

test('without the header', () => {
  expect(bearerToken(new Request('http://localhost'))).toBeUndefined()
})
