/**
 * Fetches the files of sends that name a URL, beside the lanes in which their messages wait. A file
 * is fetched once for a send; after a crash it is fetched anew.
 */
import { extname } from 'node:path'
import { GatewayError, isStorageTrouble, messageOf } from '../../../domain/errors.ts'
import type { Hears } from '../../../domain/signals.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/logger.ts'
import { extensionOf } from '../../../lib/media-type.ts'
import { type FetchedFile, type FileClient, FileNotFetched } from '../../../outbound/file-client.ts'
import { Nudge, type Worker } from '../../../runtime/worker.ts'
import type { MediaFiles, StagedFile } from '../../media/media.ts'
import type { AwaitedFile, UrlFileRepository } from './url-file-repository.ts'

/** Files that are fetched at a time: of all identities, and of one. */
const MAX_FETCHES = 32
const MAX_FETCHES_OF_ONE = 4
/** Between looks that nothing asks for. */
const IDLE_MS = 60_000
/** Before another try to store what the disk or the database didn't take. */
const STORAGE_RETRY_MS = 5_000
/** Before another look at a message that is claimed, which it is for as long as one takes. */
const CLAIMED_RETRY_MS = 200

export function createUrlFiles(options: {
  repository: UrlFileRepository
  client: FileClient
  media: Pick<MediaFiles, 'receive' | 'describe' | 'discard'>
  signals: Hears<'file-awaited'>
  clock: Clock
  logger: Logger
}): Worker {
  const { repository, client, media, signals, clock, logger } = options
  const nudge = new Nudge()
  const underWay = new Map<string, { identityId: string; run: Promise<void> }>()
  signals.on('file-awaited', () => nudge.nudge())

  async function fetchOne(file: AwaitedFile, signal: AbortSignal): Promise<void> {
    try {
      const staged = await client.fetch(file.url, answer => staging(file, answer), signal)
      if (!(await repository.fetched(staged, clock.now()))) await media.discard(staged)
    } catch (error) {
      if (signal.aborted) return
      if (isStorageTrouble(error)) {
        logger.warn({ file: file.id, reason: error.message }, 'a file could not be stored yet')
        return clock.sleep(STORAGE_RETRY_MS, signal)
      }
      if (!isExpected(error))
        logger.error({ file: file.id, err: error }, 'fetching a file failed unexpectedly')
      await fail(file.id, reasonOf(error), signal)
    }
  }

  async function staging(
    { id, identityId }: AwaitedFile,
    { fileName, mimeType, stream }: FetchedFile,
  ): Promise<StagedFile> {
    const received = await media.receive({ id, identityId, stream })
    const staged = await media.describe(received, { fileName, mimeType })
    return { ...staged, fileName: withExtension(fileName || 'file', staged.mimeType) }
  }

  async function fail(id: string, reason: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await repository.failed(id, reason, clock.now())))
      await clock.sleep(CLAIMED_RETRY_MS, signal)
  }

  function start(file: AwaitedFile, signal: AbortSignal): void {
    const run = fetchOne(file, signal)
      .catch(error => {
        logger.error({ file: file.id, err: error }, 'what became of a file could not be stored yet')
        return clock.sleep(STORAGE_RETRY_MS, signal)
      })
      .finally(() => {
        underWay.delete(file.id)
        nudge.nudge()
      })
    underWay.set(file.id, { identityId: file.identityId, run })
  }

  /** Files of one moment have no certain order, so those under way needn't be among the first. */
  function mayStart({ id, identityId }: AwaitedFile): boolean {
    const own = [...underWay.values()].filter(other => other.identityId === identityId)
    return !underWay.has(id) && own.length < MAX_FETCHES_OF_ONE && underWay.size < MAX_FETCHES
  }

  return {
    name: 'url-files',
    async run(signal) {
      while (!signal.aborted) {
        for (const file of await repository.awaited(MAX_FETCHES_OF_ONE, MAX_FETCHES))
          if (mayStart(file)) start(file, signal)
        await nudge.wait(clock, IDLE_MS, signal)
      }
      await Promise.all([...underWay.values()].map(({ run }) => run))
    },
  }
}

/** The usage guide's rule is that a file has an extension. */
function withExtension(fileName: string, mimeType: string): string {
  return extname(fileName).length < 2 ? `${fileName}.${extensionOf(mimeType)}` : fileName
}

function isExpected(error: unknown): error is FileNotFetched | GatewayError {
  return error instanceof FileNotFetched || error instanceof GatewayError
}

function reasonOf(error: unknown): string {
  if (error instanceof GatewayError) return `${error.code}: ${error.message}`
  return isExpected(error) ? error.message : `internal error: ${messageOf(error)}`
}
