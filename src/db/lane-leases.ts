/**
 * SQL of leases on a queue's lanes: a lane is its holder's until it is given back, and is closed
 * when nothing waits in it.
 */
import { sqlStatement } from './statement.ts'

/** A leased lane comes due this much later, which hides it from the search for due lanes. */
export const OUT_OF_THE_WAY_MS = 24 * 3_600_000

export function laneLeases(table: 'outbox_lanes' | 'delivery_lanes') {
  const isHeld = 'WHERE lane = $lane AND lease_id = $leaseId'
  return {
    lease: sqlStatement(`UPDATE ${table} SET lease_id = $leaseId, due_at = $dueAt WHERE lane = $lane`),
    close: sqlStatement(`DELETE FROM ${table} ${isHeld}`),
    giveBack: sqlStatement(`UPDATE ${table} SET lease_id = NULL, due_at = $dueAt ${isHeld}`),
    /** Frees all lanes: their holders are gone. */
    free: sqlStatement(`UPDATE ${table} SET lease_id = NULL, due_at = $now WHERE lease_id IS NOT NULL`),
  }
}
