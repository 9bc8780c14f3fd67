/** Removes what a kill leaves behind: incomplete files, and whole ones without a committed row. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../lib/logger.ts'
import type { Worker } from '../../runtime/worker.ts'
import { PARTIAL_SUFFIX } from './media.ts'
import type { MediaRepository } from './repository.ts'

export interface MediaSweepOptions {
  /** DATA_DIR/media */
  dir: string
  repository: Pick<MediaRepository, 'known'>
  logger: Logger
}

/** Names that we give; other files aren't ours. */
const MEDIA_ID = /^file_[\w-]+$/
/** Ids of one question to the database: a millisecond. */
const BATCH = 500

/**
 * Removes incomplete files, so call it before the first upload, whose file would look like one.
 * Lists the others now, before new ones wait for their rows; the worker then looks for the rows.
 */
export async function sweepMedia({ dir, repository, logger }: MediaSweepOptions): Promise<Worker> {
  const found = await filesBelow(dir)
  const partial = found.filter(path => path.endsWith(PARTIAL_SUFFIX))
  for (const path of partial) await rm(join(dir, path), { force: true })
  if (partial.length > 0) logger.info({ files: partial.length }, 'removed files of uploads that were cut off')
  const waiting = found.filter(path => MEDIA_ID.test(idOf(path)))

  async function removeRowless(signal: AbortSignal): Promise<void> {
    let removed = 0
    while (waiting.length > 0 && !signal.aborted) {
      const batch = waiting.slice(-BATCH)
      const known = await repository.known(batch.map(idOf))
      for (const path of batch.filter(path => !known.has(idOf(path)))) {
        await rm(join(dir, path), { force: true })
        removed++
      }
      waiting.length -= batch.length
    }
    if (removed > 0) logger.info({ files: removed }, 'removed files that no message refers to')
  }

  return {
    name: 'media-sweep',
    async run(signal) {
      await removeRowless(signal)
      // Done for this process; a worker that returns counts as one that has stopped.
      if (!signal.aborted)
        await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
    },
  }
}

function idOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** `<last two letters>/<name>` of each file of the store. */
async function filesBelow(dir: string): Promise<string[]> {
  const paths: string[] = []
  for (const folder of await namesIn(dir)) {
    if (folder.length !== 2) continue
    for (const name of await namesIn(join(dir, folder))) paths.push(`${folder}/${name}`)
  }
  return paths
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch {
    // There has been no file yet; or it is none of our folders.
    return []
  }
}
