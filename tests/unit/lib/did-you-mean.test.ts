/** Misspellings of known names, and names that aren't. */
import { expect, test } from 'bun:test'
import { meantBy } from '../../../src/lib/did-you-mean.ts'

test.each([
  ['use_hots', 'use_host'],
  ['useHost', 'use_host'],
  ['ulr', 'url'],
  ['URL', 'url'],
  ['expired_at', 'expires_at'],
  ['limt', 'limit'],
])('%s is %s', (name, known) => expect(meantBy(name, ['other_name', known])).toBe(known))

test.each([
  ['id', 'di'],
  ['uri', 'url'],
  ['host', 'port'],
  ['state', 'status'],
  ['urlurlurl', 'url'],
  ['', 'url'],
])('%p is not %s', (name, known) => expect(meantBy(name, [known])).toBeUndefined())
