/** Forgets old messages and files, some at a time. Undelivered ones stay, with their files. */
import { type ForgottenRows, forgetAged } from '../../lib/aged-rows.ts'
import type { Committer } from '../../lib/group-commit.ts'
import { pagesOf } from '../../lib/pages.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { MediaFiles } from './media.ts'
import type { MediaAge } from './store/messages.ts'
import type { NetworkStore } from './store.ts'

/**
 * Runs one step, in the transaction of its caller, `Sandbox.forget`.
 * @param before in milliseconds since 1970; messages sent earlier may go
 */
export function forgetMessages(store: NetworkStore, after: number, before: number): ForgottenRows {
  return forgetAged(
    {
      read: store.aged,
      positionOf: row => row.seq,
      isOld: row => row.sent_at < before,
      forget: row => (store.forgetMessage(row) ? 'gone' : 'waits'),
    },
    after,
  )
}

/** Files removed in one transaction. */
const FILES = 100

/**
 * Removes files older than `before`, except those of younger messages.
 * @param before in milliseconds since 1970
 * @param signal ends it early
 * @returns how many were removed
 */
export async function forgetFiles(
  { store, committer, files }: { store: NetworkStore; committer: Committer; files: MediaFiles },
  before: number,
  signal: AbortSignal,
): Promise<number> {
  const read = (after: MediaAge, limit: number) => store.mediaOlderThan({ ...after, before, limit })
  const aged = { read, placeOf: (row: MediaAge) => row, start: { createdAt: -1, id: '' }, size: FILES }
  let removed = 0
  for await (const rows of pagesOf(aged, new TurnBudget())) {
    if (signal.aborted) break
    const gone = await committer.write(() =>
      rows.filter(({ id }) => !store.isMediaInUse(id, before) && store.forgetMedia(id) > 0),
    )
    // After the commit: the next start removes a file without a row.
    for (const { id } of gone) await files.discard(id)
    removed += gone.length
  }
  return removed
}
