/** hs_appservices: the appservices that get events, and their progress. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface AppserviceRow {
  num: number
  id: string
  as_token_hash: string
  sender_localpart: string
  namespaces: string
  receive_ephemeral: number
  position: number
  txn_prefix: string
  txn_counter: number
  in_flight_to: number | null
}

export function appserviceStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  return {
    all: all<AppserviceRow>('SELECT * FROM hs_appservices ORDER BY num'),
    /** `position` and `txn_prefix` apply only to a new appservice. */
    upsert: one<AppserviceRow, [Omit<AppserviceRow, 'num' | 'txn_counter' | 'in_flight_to'>]>(
      `INSERT INTO hs_appservices (id, as_token_hash, sender_localpart, namespaces, receive_ephemeral, position, txn_prefix)
       VALUES ($id, $as_token_hash, $sender_localpart, $namespaces, $receive_ephemeral, $position, $txn_prefix)
       ON CONFLICT (id) DO UPDATE SET as_token_hash = excluded.as_token_hash, sender_localpart = excluded.sender_localpart,
         namespaces = excluded.namespaces, receive_ephemeral = excluded.receive_ephemeral
       RETURNING *`,
    ),
    remove: run<[id: string]>('DELETE FROM hs_appservices WHERE id = ?'),
    /** Records what is acknowledged and what is in flight (null: nothing). */
    setProgress: run<[position: number, txnCounter: number, inFlightTo: number | null, num: number]>(
      'UPDATE hs_appservices SET position = ?, txn_counter = ?, in_flight_to = ? WHERE num = ?',
    ),
  }
}
