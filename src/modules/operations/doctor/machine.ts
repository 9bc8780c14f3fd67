/** Checks of the machine: its clock, the room on its disk, and who may read our files. */
import { existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../../lib/clock.ts'
import { type Check, failure, type Outcome, ok, skipped, warning } from './doctor.ts'

const MIB = 1024 * 1024
/** Below this much free room writes are about to fail, and below that it gets tight. */
const DISK_FAILURE_BYTES = 100 * MIB
const DISK_WARNING_BYTES = 1024 * MIB
/** Clocks this far apart spoil expiry times, or the order of messages, in milliseconds. */
const CLOCK_FAILURE_MS = 60_000
const CLOCK_WARNING_MS = 5_000

/** The space of a disk, as `statfs` tells it. */
export interface DiskSpace {
  freeBytes: number
  /** Null where the filesystem has no fixed number. */
  freeFiles: number | null
}

export function diskCheck(dir: string, spaceOf: (dir: string) => Promise<DiskSpace> = diskSpace): Check {
  return {
    subject: 'disk',
    async run() {
      const obstacle = obstacleTo(dir)
      if (obstacle !== null) return failure(`${obstacle} is no folder`, 'let DATA_DIR name a folder')
      if (!existsSync(dir)) return skipped(`${dir} isn't there yet: the first start makes it`)
      const { freeBytes, freeFiles } = await spaceOf(dir)
      const free = `${Math.round(freeBytes / MIB).toLocaleString('en')} MiB free in ${dir}`
      const advice = 'make room, or move DATA_DIR to a larger disk'
      if (freeFiles === 0) return failure(`no more files can be made in ${dir} (no free inodes)`, advice)
      if (freeBytes < DISK_FAILURE_BYTES) return failure(`only ${free}`, advice)
      return freeBytes < DISK_WARNING_BYTES ? warning(`only ${free}`, advice) : ok(free)
    },
  }
}

/** @returns the path that keeps the folder from being made or used; null: none does */
function obstacleTo(dir: string): string | null {
  if (existsSync(dir)) return statSync(dir).isDirectory() ? null : dir
  return dirname(dir) === dir ? null : obstacleTo(dirname(dir))
}

async function diskSpace(dir: string): Promise<DiskSpace> {
  const { bavail, bsize, files, ffree } = await statfs(dir)
  return { freeBytes: bavail * bsize, freeFiles: files > 0 ? ffree : null }
}

/** A clock that other instants show to be wrong. */
export interface ClockEvidence {
  /** The homeserver's, when it answered with a date; an embedded one's is our own. */
  homeserverNow: number | null
  /** The newest instant in the database. */
  newestRow: number | null
}

export function clockCheck(clock: Clock, evidence: () => Promise<ClockEvidence>): Check {
  return {
    subject: 'clock',
    async run() {
      const advice = 'set the clock, and keep it right with NTP (timedatectl set-ntp true)'
      const { homeserverNow, newestRow } = await evidence()
      const now = clock.now()
      if (newestRow !== null && newestRow - now > CLOCK_WARNING_MS) {
        return failure(
          `the clock is behind: the database has something from ${ahead(newestRow - now)} ahead`,
          advice,
        )
      }
      if (homeserverNow === null) return ok(new Date(now).toISOString())
      const offMs = Math.abs(now - homeserverNow)
      const summary = `${ahead(offMs)} ${now > homeserverNow ? 'ahead of' : 'behind'} the homeserver's clock`
      if (offMs >= CLOCK_FAILURE_MS) return failure(summary, advice)
      // The date of an HTTP answer has whole seconds.
      return offMs >= CLOCK_WARNING_MS ? warning(summary, advice) : ok("as the homeserver's")
    },
  }
}

function ahead(ms: number): string {
  return `${Math.round(ms / 1000).toLocaleString('en')} s`
}

/** @param files and folders that hold secrets; those that aren't there don't count */
export function permissionsCheck(paths: readonly string[]): Check {
  return {
    subject: 'permissions',
    async run() {
      const open = paths.filter(path => existsSync(path) && isOpenToOthers(path))
      if (open.length === 0) return ok('no other user can read our files')
      return open.map(
        (path): Outcome => warning(`other users can read ${path}`, `chmod go= ${shellWord(path)}`),
      )
    },
  }
}

function isOpenToOthers(path: string): boolean {
  // Windows has no such modes.
  return process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0
}

function shellWord(text: string): string {
  return /^[\w./@:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
