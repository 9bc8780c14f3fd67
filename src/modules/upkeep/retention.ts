/**
 * Forgets messages, events, deliveries, files and idempotency keys that are over and old, in steps
 * of a few milliseconds with pauses between them, so that nobody who writes meanwhile notices.
 */
import type { ForgottenRows } from '../../lib/aged-rows.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { every } from '../../runtime/worker.ts'
import type { RetentionRepository, Step } from './retention-repository.ts'

export interface RetentionOptions {
  repository: RetentionRepository
  /** How long settled messages, events and deliveries are kept, in milliseconds; null: for ever. */
  rowsMs: number | null
  /** How long files are kept, in milliseconds; null: as long as their messages and events. */
  filesMs: number | null
  /**
   * Rows of other parts, which know themselves what is over: the embedded homeserver's and the
   * sandbox's.
   */
  others?: readonly OtherRows[]
  /** Forgets some idempotency keys from before an instant. @returns how many, at most `limit` */
  forgetKeys(before: number, limit: number): Promise<number>
  /** For how long a key counts, in milliseconds. */
  keysMs: number
  /** Removes what others in this process keep of files from before an instant, until the signal. */
  forgetCopies(before: number, signal: AbortSignal): Promise<void>
  /** Removes files from the disk. */
  discard(mediaIds: readonly string[]): Promise<void>
  clock: Clock
  logger: Logger
}

export interface OtherRows {
  /** How the log calls them. */
  name: string
  /** One step, which must not take long. */
  forget(after: number, before: number): Promise<ForgottenRows>
}

/** Between two steps: they take a tenth of the time at most. */
const PAUSE_MS = 20
const INTERVAL_MS = 600_000
const KEYS_AT_A_TIME = 100
/** How often copies are looked through: that reads all rooms' state. */
const COPIES_INTERVAL_MS = 24 * 3_600_000

export function createRetention(options: RetentionOptions) {
  const {
    repository,
    rowsMs,
    filesMs,
    others = [],
    forgetKeys,
    keysMs,
    forgetCopies,
    discard,
    clock,
    logger,
  } = options
  /**
   * Where each part's next walk begins. Rows that stay, such as state, would be most of what it
   * walks through, so it goes on where the one before ended, or before the first row that may go
   * later.
   */
  const reached = new Map<string, number>()

  /** @returns how many were removed */
  async function through<Cursor>(
    start: Cursor,
    step: (after: Cursor) => Promise<Step<Cursor>>,
    signal: AbortSignal,
  ): Promise<number> {
    let removed = 0
    for (let next: Cursor | null = start; next !== null && !signal.aborted; ) {
      const done: Step<Cursor> = await step(next)
      // After the commit: the next start finds files without rows; a row without its file is a
      // loss.
      await discard(done.files)
      removed += done.removed
      next = done.next
      if (next !== null) await clock.sleep(PAUSE_MS, signal)
    }
    return removed
  }

  let copiesAt = Number.NEGATIVE_INFINITY

  async function forgetRows(ageMs: number, signal: AbortSignal): Promise<Record<string, number>> {
    const before = clock.now() - ageMs
    return {
      messages: await through(0, after => repository.messages(after, before), signal),
      // An event goes after its deliveries.
      deliveries: await through(0, after => repository.deliveries(after, before), signal),
      events: await through(0, after => repository.events(after, before), signal),
      history: await through(0, after => repository.history(after, before), signal),
    }
  }

  async function forgetOthers(ageMs: number, signal: AbortSignal): Promise<Record<string, number>> {
    const before = clock.now() - ageMs
    const removed: Record<string, number> = {}
    for (const { name, forget } of others) {
      let again: number | null = null
      const step = async (after: number) => {
        const done = await forget(after, before)
        again ??= done.again
        reached.set(name, again ?? done.next ?? after)
        return { ...done, files: [] }
      }
      removed[name] = await through(reached.get(name) ?? 0, step, signal)
    }
    return removed
  }

  /** Does everything once. */
  async function tick(signal: AbortSignal): Promise<void> {
    const rows =
      rowsMs === null
        ? {}
        : { ...(await forgetRows(rowsMs, signal)), ...(await forgetOthers(rowsMs, signal)) }
    const before = clock.now() - (filesMs ?? 0)
    const files = filesMs === null ? 0 : await through('', after => repository.files(after, before), signal)
    const removed = Object.entries({ ...rows, files }).filter(([, count]) => count > 0)
    if (removed.length > 0) logger.info(Object.fromEntries(removed), 'removed what was over and old')
    while (!signal.aborted && (await forgetKeys(clock.now() - keysMs, KEYS_AT_A_TIME)) === KEYS_AT_A_TIME)
      await clock.sleep(PAUSE_MS, signal)
    while (!signal.aborted && (await repository.shrink())) await clock.sleep(PAUSE_MS, signal)
    await forgetOldCopies(signal)
  }

  /**
   * Once a day, and last: a failure keeps nothing else from going, and is tried again next time.
   */
  async function forgetOldCopies(signal: AbortSignal): Promise<void> {
    const ageMs = filesMs ?? rowsMs
    if (ageMs === null || clock.steady() < copiesAt || signal.aborted) return
    await forgetCopies(clock.now() - ageMs, signal)
    if (!signal.aborted) copiesAt = clock.steady() + COPIES_INTERVAL_MS
  }

  return { ...every('retention', INTERVAL_MS, tick, { clock }), tick }
}
