/** Locks the data folder: two processes would settle each other's messages and lose some. */

import { Database } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf, StartError } from '../domain/errors.ts'
import { codeOf } from '../lib/error-codes.ts'
import { prepareDataDir, RESTORING } from './data-dir.ts'
import { type Db, openDb } from './open.ts'

const LOCK_FILE = 'meshgate.lock'

export interface DataLock {
  release(): void
}

/**
 * Opens the database and locks its folder until it is closed.
 * @throws StartError when another process has it, or a restore into it was interrupted
 */
export function openDbAlone(databaseFile: string): Db {
  const dir = dirname(databaseFile)
  const lock = lockDataDir(dir)
  try {
    refuseHalfRestored(dir)
    const db = openDb(databaseFile)
    return {
      ...db,
      async close() {
        await db.close()
        lock.release()
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Holds an open transaction on a separate file as the lock: SQLite can lock files on every system,
 * and the kernel releases it however the process ends.
 * @throws StartError when another process has it
 */
export function lockDataDir(dir: string): DataLock {
  prepareDataDir(dir)
  const file = join(dir, LOCK_FILE)
  let holder: Database | undefined
  try {
    holder = new Database(file, { create: true })
    // The holder keeps it for life, so waiting is useless.
    holder.run('PRAGMA busy_timeout = 0')
    holder.run('BEGIN EXCLUSIVE')
  } catch (error) {
    holder?.close()
    throw new StartError(
      isBusy(error)
        ? `DATA_DIR: ${dir} is in use by another meshgate`
        : `DATA_DIR: ${file} can't be locked: ${messageOf(error)}`,
    )
  }
  const held = holder
  return { release: () => held.close() }
}

/** The folder would hold half a backup. @throws StartError */
function refuseHalfRestored(dir: string): void {
  if (!existsSync(join(dir, RESTORING))) return
  throw new StartError(`DATA_DIR: a restore into ${dir} was interrupted; run meshgate restore again`)
}

/** True while a gateway, or a command that needs to be alone, works on the folder. */
export function isDataDirInUse(dir: string): boolean {
  if (!existsSync(join(dir, LOCK_FILE))) return false
  try {
    lockDataDir(dir).release()
    return false
  } catch {
    return true
  }
}

function isBusy(error: unknown): boolean {
  return codeOf(error) === 'SQLITE_BUSY'
}
