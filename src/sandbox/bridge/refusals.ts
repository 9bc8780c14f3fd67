/**
 * Events the bridge has finally refused. The sender may then send the message anew, so the refused
 * event, repeated after a crash, must not be accepted.
 */
import type { BridgeContext } from './context.ts'

/** The rest of com.beeper.message_send_status. */
export interface Refusal {
  status: 'FAIL_RETRIABLE' | 'FAIL_PERMANENT'
  reason: string
  message: string
  error?: string
}

export interface Refusals {
  /** Null for an event that wasn't refused. */
  of(eventId: string): Refusal | null
  /** Call it inside a transaction, before anybody learns of the refusal. */
  note(eventId: string, refusal: Refusal): void
}

/** Transactions are repeated within days at most. */
const KEPT_MS = 7 * 24 * 3_600_000

export function createRefusals({ database, clock }: Pick<BridgeContext, 'database' | 'clock'>): Refusals {
  const find = database.query<{ refusal: string }, [string]>(
    'SELECT refusal FROM sandbox_refusal WHERE event_id = ?',
  )
  const add = database.query('INSERT OR IGNORE INTO sandbox_refusal (event_id, refusal, at) VALUES (?, ?, ?)')
  const forget = database.query('DELETE FROM sandbox_refusal WHERE at < ?')
  return {
    of(eventId) {
      const row = find.get(eventId)
      return row && (JSON.parse(row.refusal) as Refusal)
    },
    note(eventId, refusal) {
      const now = clock.now()
      forget.run(now - KEPT_MS)
      add.run(eventId, JSON.stringify(refusal), now)
    },
  }
}
