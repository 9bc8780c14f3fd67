/** Errors that mean a full disk. */
import { expect, test } from 'bun:test'
import { isOutOfSpace } from '../../../src/lib/error-codes.ts'

const coded = (code: string) => Object.assign(new Error(code), { code })

test.each([
  ['ENOSPC', true],
  ['EDQUOT', true],
  ['SQLITE_FULL', true],
  ['SQLITE_IOERR_WRITE', true],
  ['SQLITE_BUSY', false],
  ['EIO', false],
])('%s is for lack of space: %p', (code, expected) => {
  expect(isOutOfSpace(coded(code))).toBe(expected)
  expect(isOutOfSpace(new Error('passed on', { cause: coded(code) }))).toBe(expected)
})
