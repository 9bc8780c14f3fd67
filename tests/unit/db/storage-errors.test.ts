/** SQLite's failures: which become which error, and which are defects. */
import { expect, test } from 'bun:test'
import { asStorageError } from '../../../src/db/storage-errors.ts'

const failure = (code: string) => Object.assign(new Error('words of SQLite'), { code })

test.each([
  ['SQLITE_FULL', 'storage_full'],
  // IOERR_WRITE comes from a quota, IOERR_SHMSIZE from the WAL's index.
  ['SQLITE_IOERR_WRITE', 'storage_full'],
  ['SQLITE_IOERR_SHMSIZE', 'storage_full'],
  ['SQLITE_BUSY', 'storage_unavailable'],
  ['SQLITE_BUSY_SNAPSHOT', 'storage_unavailable'],
  ['SQLITE_IOERR_FSYNC', 'storage_unavailable'],
  ['SQLITE_READONLY', 'storage_unavailable'],
])('%s is %s', (code, expected) => {
  const cause = failure(code)
  expect(asStorageError(cause)).toMatchObject({ name: 'GatewayError', code: expected, cause })
})

test.each([failure('SQLITE_CONSTRAINT_UNIQUE'), new Error('a defect'), 'thrown text'])(
  '%p stays what it is',
  error => {
    expect(asStorageError(error)).toBe(error)
  },
)
