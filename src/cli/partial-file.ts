/** A file that takes its place once whole and on disk; until then it has another name there. */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isOfAnother } from '../runtime/process-table.ts'

export type PartialFile = ReturnType<typeof openPartialFile>

/** Removes leftovers of ended processes first. Disposal deletes it unless completed. */
export function openPartialFile(file: string) {
  const mine = `${basename(file)}.part-`
  const folder = dirname(file)
  for (const name of readdirSync(folder)) {
    const owner = name.startsWith(mine) ? Number(name.slice(mine.length)) : Number.NaN
    if (Number.isInteger(owner) && !isOfAnother(owner)) rmSync(join(folder, name), { force: true })
  }
  const path = join(folder, `${mine}${process.pid}`)
  const handle = openSync(path, 'wx', 0o600)
  return {
    /** File descriptor, open for writing. */
    handle,
    /** Moves the file into its place. */
    complete(): void {
      fsyncSync(handle)
      renameSync(path, file)
    },
    [Symbol.dispose](): void {
      closeSync(handle)
      rmSync(path, { force: true })
    },
  }
}
