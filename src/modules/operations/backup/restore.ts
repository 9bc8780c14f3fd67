/**
 * Puts a backup into a DATA_DIR without data. Settings may be there (`.env`, a registration), as in
 * a container: a backup has none of them, so they stay. Everything is unpacked and checked in a
 * folder within it first; the database comes to its place last, so no gateway starts on an
 * interrupted restore.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { RESTORING } from '../../../db/data-dir.ts'
import { lockDataDir } from '../../../db/lock.ts'
import { migrateUp } from '../../../db/migrate.ts'
import { openDb } from '../../../db/open.ts'
import { damageOf, isDatabase, putTogether } from '../../../db/snapshot.ts'
import { GatewayError } from '../../../domain/errors.ts'
import { syncFolder } from '../../../lib/durable-file.ts'
import { readArchive } from './archive.ts'
import { type Authenticity, BRIDGES_FOLDER, DATABASE, type Manifest, MEDIA_FOLDERS } from './manifest.ts'
import { createBackupRepository } from './repository.ts'

export interface RestoreRequest {
  source: Readable
  dataDir: string
  /** MATRIX_SERVER_NAME of the settings. */
  serverName: string
  /** SECRET_KEY, and the one before it. */
  secretKeys: readonly string[]
  /** Takes a backup even if these keys don't prove that we made it. */
  unverified: boolean
  /** Sends messages that waited when the backup was made: the gateway may have sent them since. */
  sendWaiting: boolean
  now: number
}

export interface RestoreReport {
  manifest: Manifest
  /** Commands that a gateway on it will run, by platform. */
  commands: { platform: string; command: string[] }[]
  /** Messages that waited when the backup was made. */
  waiting: number
}

/** The reason of messages that are not sent after a restore. */
const HELD_BY_RESTORE =
  'restored: it waited when the backup was made, and may have been sent since; send it again if it was not'

/**
 * @throws StartError when a gateway runs there; GatewayError conflict (the folder has data, another
 * server name), bad_request (the backup is damaged, of a newer version, or not proven to be ours);
 * then nothing is changed
 */
export async function restoreBackup(request: RestoreRequest): Promise<RestoreReport> {
  const { dataDir, source } = request
  const lock = lockDataDir(dataDir)
  try {
    clearInterrupted(dataDir)
    refuseFilled(dataDir)
    const folder = join(dataDir, RESTORING)
    mkdirSync(folder, { mode: 0o700 })
    try {
      const { manifest, authenticity } = await readArchive(source, folder, request.secretKeys)
      if (!request.unverified) refuseUnproven(authenticity)
      const checked = await check(folder, manifest, request)
      await moveIntoPlace(folder, dataDir)
      return { manifest, ...checked }
    } catch (error) {
      clearInterrupted(dataDir)
      throw error
    }
  } finally {
    lock.release()
  }
}

/** All that a restore writes, with the database's log: SQLite would read another's into it. */
const DATA = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`, ...MEDIA_FOLDERS, BRIDGES_FOLDER]

/** Data beside the folder of an unfinished restore came out of it: there was none before. */
function clearInterrupted(dataDir: string): void {
  if (!existsSync(join(dataDir, RESTORING))) return
  for (const name of DATA) rmSync(join(dataDir, name), { recursive: true, force: true })
  rmSync(join(dataDir, RESTORING), { recursive: true, force: true })
}

function refuseFilled(dataDir: string): void {
  const there = readdirSync(dataDir).filter(name => DATA.includes(name))
  if (there.length === 0) return
  throw new GatewayError(
    'conflict',
    `DATA_DIR: ${dataDir} has ${there.slice(0, 3).join(', ')}${there.length > 3 ? ', …' : ''}: expected a folder without data; move it away first`,
  )
}

function refuseUnproven(authenticity: Authenticity): void {
  if (authenticity === 'proven') return
  const reasons = {
    changed: 'the backup was changed after it was made',
    key: 'SECRET_KEY: is another than the backup was made with: set that one, also as without it no token works',
    missing: 'nothing proves that this gateway made the backup: an earlier version did, or it was changed',
  }
  throw new GatewayError(
    'bad_request',
    `${reasons[authenticity]}; --unverified restores it all the same, if you know where it comes from: the gateway will run the programs that it names`,
  )
}

async function check(
  folder: string,
  manifest: Manifest,
  { serverName, sendWaiting, now }: RestoreRequest,
): Promise<Omit<RestoreReport, 'manifest'>> {
  if (manifest.server_name !== serverName) {
    throw new GatewayError(
      'conflict',
      `MATRIX_SERVER_NAME: is "${serverName}", and the backup is of "${manifest.server_name}"`,
    )
  }
  const names = manifest.files.map(({ name }) => name)
  if (!names.includes(DATABASE))
    throw new GatewayError('bad_request', `the backup can't be used: it has no ${DATABASE}`)
  for (const name of names) {
    const path = join(folder, name)
    const isOurs = name === DATABASE || (name.startsWith(`${BRIDGES_FOLDER}/`) && isDatabase(path))
    if (!isOurs) continue
    const damage = damageOf(path)
    if (damage !== null) throw new GatewayError('bad_request', `the backup can't be used: ${name}: ${damage}`)
    putTogether(path)
  }
  const file = join(folder, DATABASE)
  const db = openDb(file)
  try {
    migrateUp(db.connection, now)
    const repository = createBackupRepository(db)
    await repository.passPlaces(now)
    const waiting = sendWaiting
      ? await repository.waitingCount()
      : await repository.failWaiting(HELD_BY_RESTORE, now)
    const commands = (await repository.bridges()).flatMap(({ platform, command }) =>
      command ? [{ platform, command }] : [],
    )
    return { waiting, commands }
  } finally {
    await db.close()
    putTogether(file)
  }
}

async function moveIntoPlace(folder: string, dataDir: string): Promise<void> {
  const all = readdirSync(folder).filter(name => name !== DATABASE)
  for (const name of all) renameSync(join(folder, name), join(dataDir, name))
  await syncFolder(dataDir)
  renameSync(join(folder, DATABASE), join(dataDir, DATABASE))
  await syncFolder(dataDir)
  rmSync(folder, { recursive: true, force: true })
  await syncFolder(dataDir)
}
