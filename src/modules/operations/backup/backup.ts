/**
 * Makes a backup of a DATA_DIR that a gateway may be working on, in another process. The database
 * is copied as it is at one instant. Every file that this copy refers to is in the backup, although
 * files come and go: they are held by a second name (a hard link) before the instant and once more
 * after it. If a file came and went in between, another instant is taken.
 */
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import type { Writable } from 'node:stream'
import { openDb } from '../../../db/open.ts'
import { isDatabase, putTogether, snapshotInto } from '../../../db/snapshot.ts'
import { GatewayError } from '../../../domain/errors.ts'
import { codeOf } from '../../../lib/error-codes.ts'
import { isOfAnother } from '../../../runtime/process-table.ts'
import { RECORD_FILE } from '../../../runtime/supervised-process.ts'
import { type About, type ArchivedFile, writeArchive } from './archive.ts'
import { BRIDGES_FOLDER, DATABASE, MEDIA_FOLDERS } from './manifest.ts'
import { createBackupRepository } from './repository.ts'

export interface BackupRequest {
  dataDir: string
  sink: Writable
  about: Omit<About, 'created_at'>
  /** SECRET_KEY, by which a restore knows that nobody has changed it. */
  secretKey: string
  now: number
}

export interface BackupReport {
  files: number
  bytes: number
  /** Messages that wait to be sent. */
  waiting: number
  /** Files that aren't in it, and whoever restores it would miss. */
  missing: string[]
}

/** Instants taken before a file that isn't to be had is given up: it was missing before. */
const MAX_SNAPSHOTS = 3
/** Stays free for the gateway while the copy of the database lies beside it. */
const SPARE_BYTES = 64 * 1024 * 1024
/** Names of files that aren't whole yet. */
const PARTIAL = /\.(part|tmp)$/
/** A database's companions are in its copy, and logs are nobody's state. */
const LEFT_OUT = /(-wal|-shm|-journal|\.log|\.log\.gz)$/

/** @throws GatewayError not_found (there is no database), storage_full; whatever the sink throws */
export async function makeBackup({
  dataDir,
  sink,
  about,
  secretKey,
  now,
}: BackupRequest): Promise<BackupReport> {
  const source = join(dataDir, DATABASE)
  if (!existsSync(source))
    throw new GatewayError('not_found', `DATA_DIR: there is no ${DATABASE} in ${dataDir}`)
  removeAbandoned(dataDir)
  refuseFullDisk(dataDir, source)
  // Within DATA_DIR, so on the same disk: files have a second name there, and no second copy.
  const staging = join(dataDir, `${STAGING}${process.pid}`)
  try {
    mkdirSync(staging, { mode: 0o700 })
    const state = await holdState(dataDir, staging)
    const missing = [...state.missing, ...state.elsewhere, ...stageBridges(dataDir, staging)]
    const files = filesBelow(staging, '')
    await writeArchive(files, { ...about, created_at: new Date(now).toISOString() }, secretKey, sink)
    const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return { files: files.length, bytes, waiting: state.waiting, missing }
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const STAGING = '.backup-'

/** A killed backup leaves hard links, which would keep deleted files on the disk. */
function removeAbandoned(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    const pid = Number(name.startsWith(STAGING) ? name.slice(STAGING.length) : Number.NaN)
    if (Number.isInteger(pid) && !isOfAnother(pid))
      rmSync(join(dataDir, name), { recursive: true, force: true })
  }
}

function refuseFullDisk(dataDir: string, source: string): void {
  const { bavail, bsize } = statfsSync(dataDir)
  const needed = lstatSync(source).size + sizeOf(`${source}-wal`) + SPARE_BYTES
  if (bavail * bsize < needed) {
    throw new GatewayError(
      'storage_full',
      `DATA_DIR: ${dataDir} has too little space left for a copy of the database: expected ${needed} bytes`,
    )
  }
}

function sizeOf(file: string): number {
  return lstatSync(file, { throwIfNoEntry: false })?.size ?? 0
}

interface State {
  /** Files that the database refers to and that aren't there. */
  missing: string[]
  /** Folders of bridges outside of DATA_DIR. */
  elsewhere: string[]
  waiting: number
}

/** The database and all files that it refers to. */
async function holdState(dataDir: string, staging: string): Promise<State> {
  const target = join(staging, DATABASE)
  for (let attempt = 1; ; attempt++) {
    holdMedia(dataDir, staging)
    snapshotInto(join(dataDir, DATABASE), target)
    holdMedia(dataDir, staging)
    const state = await lookInto(target, dataDir, staging)
    if (state.missing.length === 0 || attempt === MAX_SNAPSHOTS) return state
    rmSync(target)
  }
}

async function lookInto(database: string, dataDir: string, staging: string): Promise<State> {
  const db = openDb(database)
  try {
    const repository = createBackupRepository(db)
    const missing = (await repository.storedFiles())
      .filter(id => !existsSync(join(staging, 'media', id.slice(-2), id)))
      .map(id => `media/${id.slice(-2)}/${id}`)
    const elsewhere = (await repository.bridges())
      .filter(({ dir }) => !resolve(dir).startsWith(join(resolve(dataDir), BRIDGES_FOLDER) + sep))
      .map(({ platform, dir }) => `${dir} (of the ${platform} bridge, outside of DATA_DIR)`)
    return { missing, elsewhere, waiting: await repository.waitingCount() }
  } finally {
    await db.close()
    putTogether(database)
  }
}

/** Gives every whole file a second name in the staging folder, unless it has one. */
function holdMedia(dataDir: string, staging: string): void {
  for (const folder of MEDIA_FOLDERS) {
    for (const { name, path } of filesBelow(join(dataDir, folder), folder)) {
      if (PARTIAL.test(name)) continue
      hold(path, join(staging, name))
    }
  }
}

function hold(path: string, held: string): void {
  if (existsSync(held)) return
  mkdirSync(dirname(held), { recursive: true, mode: 0o700 })
  try {
    linkSync(path, held)
  } catch (error) {
    // It was deleted since the folder was read.
    if (codeOf(error) === 'ENOENT') return
    // Not every filesystem has hard links.
    copyFileSync(path, held)
  }
}

/** Copies the files of bridge programs, which go on. @returns files that aren't in the backup */
function stageBridges(dataDir: string, staging: string): string[] {
  const missing: string[] = []
  const folder = join(dataDir, BRIDGES_FOLDER)
  for (const { name, path } of filesBelow(folder, BRIDGES_FOLDER, link => missing.push(`${link} (a link)`))) {
    if (basename(name) === RECORD_FILE || LEFT_OUT.test(name)) continue
    const target = join(staging, name)
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
    try {
      if (isDatabase(path)) snapshotInto(path, target)
      else copyFileSync(path, target)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
  return missing
}

/** @param onLink is given links, which aren't followed */
function filesBelow(
  folder: string,
  name: string,
  onLink: (name: string) => void = () => undefined,
): ArchivedFile[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    const own = name === '' ? entry.name : `${name}/${entry.name}`
    if (entry.isDirectory()) return filesBelow(path, own, onLink)
    const found = entry.isFile() ? lstatSync(path, { throwIfNoEntry: false }) : undefined
    if (found) return [{ name: own, path, sizeBytes: found.size, mode: found.mode }]
    if (entry.isSymbolicLink()) onLink(own)
    return []
  })
}
