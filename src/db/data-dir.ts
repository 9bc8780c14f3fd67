/** The data folder: only its owner can read it. */
import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { messageOf, StartError } from '../domain/errors.ts'

/** Folder in DATA_DIR during a restore. */
export const RESTORING = '.restoring'

const OWNER_ONLY_FOLDER = 0o700
const OWNER_ONLY_FILE = 0o600
/** Mode of a folder everybody writes to, such as /tmp: not ours to close. */
const STICKY = 0o1000

/** Creates the folder, or closes an existing one to others. @throws StartError */
export function prepareDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: OWNER_ONLY_FOLDER })
  } catch (error) {
    throw new StartError(`DATA_DIR: ${dir} can't be used as a folder: ${messageOf(error)}`)
  }
  if ((statSync(dir).mode & STICKY) === 0) tryChmod(dir, OWNER_ONLY_FOLDER)
}

/** Closes the database file to others; SQLite gives its log files the same mode. */
export function closeToOthers(databaseFile: string): void {
  for (const file of [databaseFile, `${databaseFile}-wal`, `${databaseFile}-shm`]) {
    tryChmod(file, OWNER_ONLY_FILE)
  }
}

function tryChmod(path: string, mode: number): void {
  try {
    chmodSync(path, mode)
  } catch {
    // The file is missing, belongs to another user, or its filesystem has no modes.
  }
}
