/** The system's and SQLite's codes of errors. */

/** SQLite reports a used-up quota as a failed write, and has its own code for the WAL's index. */
const NO_SPACE = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE']

/** @returns such as ENOENT or SQLITE_BUSY; empty when it has none */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** True for a full disk or quota: of a file, of SQLite, or in an error's cause. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof Error && (NO_SPACE.includes(codeOf(error)) || isOutOfSpace(error.cause))
}
