/** Recognises a full disk or quota: from a file, from SQLite, or in an error's cause. */

/** SQLite reports a used-up quota as a failed write, and has its own code for the WAL's index. */
const NO_SPACE = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE']

export function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return NO_SPACE.includes(code) || isOutOfSpace(error.cause)
}
