/**
 * Where a device's history ends and what it receives begins. A bridge that was just linked brings
 * old messages along: nobody wants them delivered as new, nor to miss those of a short logout.
 */
import type { Device } from '../../db/schema/index.ts'

/** Messages older than this are history, also those of a logout or an unnoticed link. */
export const LONGEST_GAP_MS = 24 * 3_600_000
/** How much later than it happened we may have learned that a device was logged out. */
const LOGOUT_NOTICE_MS = 5_000

/** @returns the earliest time of a message that counts as received, in epoch milliseconds */
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
 * A device that is new, or was deleted before, receives what was sent since its link was asked for,
 * also when the link is noticed late, as after a crash in between.
 * @param awaitedSince when that was; null: nobody asked us
 * @returns null: from `now` on
 */
export function receivesAfterLink(
  awaitedSince: number | null,
  removedAt: number | null,
  now: number,
): number | null {
  if (awaitedSince === null) return null
  return Math.min(now, Math.max(awaitedSince, removedAt ?? 0, now - LONGEST_GAP_MS))
}

/** A device that is linked again receives what it missed since its logout, but not months of it. */
export function receivesAfterRelink({ stateSince }: Pick<Device, 'stateSince'>, now: number): number {
  return Math.max(stateSince - LOGOUT_NOTICE_MS, now - LONGEST_GAP_MS)
}
