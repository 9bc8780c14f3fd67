/** SQLite's write failures as errors callers expect and retry: disk full, failing or locked. */
import { type ErrorCode, GatewayError, messageOf } from '../domain/errors.ts'
import { codeOf, isOutOfSpace } from '../lib/error-codes.ts'

/** @returns a GatewayError storage_full or storage_unavailable, or `error` if not about the disk */
export function asStorageError(error: unknown): unknown {
  const code = codeOf(error)
  if (isOutOfSpace(error)) return caused(error, 'storage_full', 'there is no space left to store this')
  if (/^SQLITE_(BUSY|LOCKED|IOERR|READONLY|CANTOPEN)/.test(code))
    return caused(error, 'storage_unavailable', `this can't be stored now, ${code}`)
  return error
}

function caused(cause: unknown, code: ErrorCode, words: string): GatewayError {
  return Object.assign(new GatewayError(code, `${words} (${messageOf(cause)})`), { cause })
}
