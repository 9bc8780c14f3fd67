/** Whether an error says that the disk, or what we may use of it, is full: of a file, of SQLite, or of what passes theirs on as its cause. */

/** A quota that is used up is a write that fails; room for the log's index is asked for in a way of its own. */
const NO_SPACE = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE']

export function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return NO_SPACE.includes(code) || isOutOfSpace(error.cause)
}
