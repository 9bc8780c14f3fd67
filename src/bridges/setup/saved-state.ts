/** A bridge's configuration and database from before another program got hold of them. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { databaseFileIn } from './config-database.ts'

const SAVED = 'before-'
const CONFIG = 'config.yaml'

/**
 * Copies what the program may change; a copy of an earlier try, now broken off, is kept.
 * @param dir folder of the bridge's files
 * @returns where the copy is
 */
export function saveState(dir: string, version: string): string {
  const saved = join(dir, SAVED + version)
  if (existsSync(saved)) return saved
  const draft = join(dir, `${SAVED}${version}.part`)
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { mode: 0o700 })
  for (const file of stateFiles(dir, dir)) if (existsSync(file)) cpSync(file, join(draft, basename(file)))
  renameSync(draft, saved)
  return saved
}

export function restoreState(dir: string, saved: string): void {
  for (const file of stateFiles(dir, saved)) {
    const copy = join(saved, basename(file))
    rmSync(file, { force: true })
    if (existsSync(copy)) cpSync(copy, file)
  }
  forgetSavedState(dir)
}

/** Call it once no update is pending. */
export function forgetSavedState(dir: string): void {
  if (!existsSync(dir)) return
  for (const name of readdirSync(dir)) {
    if (name.startsWith(SAVED)) rmSync(join(dir, name), { recursive: true, force: true })
  }
}

/**
 * The database only where it is a file.
 * @param source folder of the configuration that names it: the program may have spoilt its own
 */
function stateFiles(dir: string, source: string): string[] {
  const config = join(dir, CONFIG)
  const told = join(source, CONFIG)
  const database = existsSync(told) ? databaseFileIn(readFileSync(told, 'utf8')) : null
  if (database === null) return [config]
  const file = resolve(dir, database)
  return [config, file, `${file}-wal`, `${file}-shm`]
}
