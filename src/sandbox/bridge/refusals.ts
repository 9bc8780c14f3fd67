/**
 * Messages that the bridge has refused: what it says of an event once it says for good. A sender takes a refusal for an answer and may send the
 * message anew, so the event, told again after a crash, mustn't be taken then.
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
  /** Inside a transaction, before anybody is told. */
  note(eventId: string, refusal: Refusal): void
}

/** Transactions come again within days at most. */
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
