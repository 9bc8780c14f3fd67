/**
 * Events the bridge has finally refused. The sender may then send the message anew, so the refused
 * event, repeated after a crash, must not be accepted.
 */
import { statementsOf } from '../../lib/statements.ts'
import type { BridgeContext } from './context.ts'

/** The rest of com.beeper.message_send_status. */
export interface Refusal {
  status: 'FAIL_RETRIABLE' | 'FAIL_PERMANENT'
  reason: string
  message: string
  error?: string
}

/** Transactions are repeated within days at most. */
const KEPT_MS = 7 * 24 * 3_600_000

export function createRefusals({ database, clock }: Pick<BridgeContext, 'database' | 'clock'>) {
  const { one, run } = statementsOf(database)
  const find = one<{ refusal: string }, [string]>('SELECT refusal FROM sandbox_refusal WHERE event_id = ?')
  const add = run<[string, string, number]>(
    'INSERT OR IGNORE INTO sandbox_refusal (event_id, refusal, at) VALUES (?, ?, ?)',
  )
  const forget = run<[number]>('DELETE FROM sandbox_refusal WHERE at < ?')
  return {
    /** Null for an event that wasn't refused. */
    of(eventId: string): Refusal | null {
      const row = find(eventId)
      return row ? (JSON.parse(row.refusal) as Refusal) : null
    },
    /** Call it inside a transaction, before anybody learns of the refusal. */
    note(eventId: string, refusal: Refusal): void {
      const now = clock.now()
      forget(now - KEPT_MS)
      add(eventId, JSON.stringify(refusal), now)
    },
  }
}
