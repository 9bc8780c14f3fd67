/**
 * Forgets what is old of the network, some at a time. What waits for its room stays, however old,
 * and so does its file.
 */
import { type ForgottenRows, forgetAged } from '../../lib/aged-rows.ts'
import type { Committer } from '../../lib/group-commit.ts'
import type { MediaFiles } from './media.ts'
import type { NetworkStore } from './store.ts'

/**
 * One step; writes with the transaction of its caller, `Sandbox.forget`.
 * @param before in milliseconds since 1970: what was sent before then may go
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
 * Removes files from before an instant, but for those that a younger message has.
 * @param before in milliseconds since 1970
 * @param signal ends it early
 * @returns how many were removed
 */
export async function forgetFiles(
  { store, committer, files }: { store: NetworkStore; committer: Committer; files: MediaFiles },
  before: number,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (let after: { created_at: number; id: string } | null = null; !signal.aborted; ) {
    const rows = store.mediaOlderThan(before, after, FILES)
    const gone = await committer.write(() =>
      rows.filter(({ id }) => !store.isMediaInUse(id, before) && store.forgetMedia(id)),
    )
    // After the commit: a file without a row is found at the next start.
    for (const { id } of gone) await files.discard(id)
    removed += gone.length
    after = rows.at(-1) ?? null
    if (rows.length < FILES) break
  }
  return removed
}
