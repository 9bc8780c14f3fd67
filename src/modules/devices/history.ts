/**
 * Where a device's history ends and what it receives begins. A bridge that was just linked brings old messages along; nobody wants those
 * delivered as if they came in now, nor to miss what was said while a device was logged out for a while.
 */
import type { Device } from '../../db/schema/index.ts'

/** Beyond this, what was said while a device was logged out is history, too. In milliseconds. */
const LONGEST_GAP_MS = 24 * 3_600_000
/** How much later than it happened we may have learned that a device was logged out, in milliseconds. */
const LOGOUT_NOTICE_MS = 5_000

/** @returns when the oldest message may have been sent that counts as received, in milliseconds since the epoch */
export function receivesFrom({
  state,
  stateSince,
  linkedAt,
  receivesFrom: since,
}: Pick<Device, 'state' | 'stateSince' | 'linkedAt' | 'receivesFrom'>): number {
  // Linked again, as its messages come, though we don't know it yet.
  if (state === 'logged_out') return stateSince - LOGOUT_NOTICE_MS
  return since ?? linkedAt
}

/**
 * For a device that is linked again, at `now`: it receives what it missed since it was logged out, but not months of it. One that was
 * deleted begins anew.
 * @returns null: from `now` on
 */
export function receivesAfterRelink(
  { removedAt, stateSince }: Pick<Device, 'removedAt' | 'stateSince'>,
  now: number,
): number | null {
  return removedAt === null ? Math.max(stateSince - LOGOUT_NOTICE_MS, now - LONGEST_GAP_MS) : null
}
