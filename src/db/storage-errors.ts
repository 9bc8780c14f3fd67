/** What SQLite can't write, as failures that callers expect and that pass: a full disk, another process that writes, a failing disk. */
import { GatewayError, messageOf } from '../domain/errors.ts'

/** @returns a GatewayError storage_full or storage_unavailable, or `error` itself when it says nothing of the disk */
export function asStorageError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'SQLITE_FULL')
    return new GatewayError('storage_full', `there is no space left to store this (${messageOf(error)})`)
  if (/^SQLITE_(BUSY|LOCKED|IOERR|READONLY|CANTOPEN)/.test(code))
    return new GatewayError('storage_unavailable', `this can't be stored now (${messageOf(error)})`)
  return error
}
