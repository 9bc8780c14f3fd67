/**
 * Events the bridge has finally refused. The sender may then send the message anew, so the refused
 * event, repeated after a crash, must not be accepted.
 */
import { MatrixError } from '../../lib/matrix-error.ts'
import { refusalOf } from '../../lib/refusal.ts'
import { statementsOf } from '../../lib/statements.ts'
import { FileTooLarge } from '../network/media.ts'
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
  const { value, run } = statementsOf(database)
  const find = value<string, [string]>('SELECT refusal FROM sandbox_refusal WHERE event_id = ?')
  const add = run<[string, string, number]>(
    'INSERT OR IGNORE INTO sandbox_refusal (event_id, refusal, at) VALUES (?, ?, ?)',
  )
  const forget = run<[number]>('DELETE FROM sandbox_refusal WHERE at < ?')
  return {
    /** Undefined for an event that wasn't refused. */
    of(eventId: string): Refusal | undefined {
      const refusal = find(eventId)
      return refusal === undefined ? undefined : (JSON.parse(refusal) as Refusal)
    },
    /** Stores the refusal in the caller's work, before anybody learns of it. */
    note(eventId: string, refusal: Refusal): void {
      const now = clock.now()
      forget(now - KEPT_MS)
      add(eventId, JSON.stringify(refusal), now)
    },
  }
}

export function permanent(reason: string, message: string, error = message): Refusal {
  return { status: 'FAIL_PERMANENT', reason, message, error }
}

/** As bridgev2 tells of an error that the connector doesn't explain: another try may go well. */
export function failedOnNetwork(message: string): Refusal {
  return { status: 'FAIL_RETRIABLE', reason: 'm.event_not_handled', message, error: message }
}

export const nothingToDo = () => permanent('m.event_not_handled', 'nothing to do')

/** True when the homeserver refused a call and will again: trying on would block what follows. */
export function isRefused(error: unknown): boolean {
  return error instanceof MatrixError && refusalOf(error.status) !== 'passing'
}

/** The refusal of a message whose file could not be fetched. */
export function mediaFate(error: unknown): Refusal {
  if (error instanceof FileTooLarge) return permanent('com.beeper.unsupported_event', error.message)
  if (error instanceof MatrixError && error.status === 404)
    return permanent('m.event_not_handled', 'The file does not exist on the homeserver', error.message)
  return {
    status: 'FAIL_RETRIABLE',
    reason: 'm.event_not_handled',
    message: 'The file could not be fetched',
    error: error instanceof Error ? error.message : String(error),
  }
}
