/** The folder of the data, and what it promises: nobody but its owner reads what is in it. */
import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { messageOf, StartError } from '../domain/errors.ts'

/** Folder in DATA_DIR while a backup is being restored into it. */
export const RESTORING = '.restoring'

const OWNER_ONLY_FOLDER = 0o700
const OWNER_ONLY_FILE = 0o600
/** Of a folder that everybody writes to, such as /tmp: it isn't ours to close. */
const STICKY = 0o1000

/** Makes the folder where it is missing, and closes it to others where it was made before. @throws StartError */
export function prepareDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: OWNER_ONLY_FOLDER })
  } catch (error) {
    throw new StartError(`DATA_DIR: ${dir} can't be used as a folder: ${messageOf(error)}`)
  }
  if ((statSync(dir).mode & STICKY) === 0) tryChmod(dir, OWNER_ONLY_FOLDER)
}

/** Closes the database's file to others; SQLite gives its log files the same mode. */
export function closeToOthers(databaseFile: string): void {
  for (const file of [databaseFile, `${databaseFile}-wal`, `${databaseFile}-shm`]) {
    tryChmod(file, OWNER_ONLY_FILE)
  }
}

function tryChmod(path: string, mode: number): void {
  try {
    chmodSync(path, mode)
  } catch {
    // It isn't there, belongs to another user, or lies on a filesystem without modes.
  }
}
