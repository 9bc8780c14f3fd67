/** hs_appservices: the appservices that get events, and their progress. */
import type { Database } from 'bun:sqlite'

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
  const all = db.prepare<AppserviceRow, []>('SELECT * FROM hs_appservices ORDER BY num')
  const upsert = db.prepare<AppserviceRow, [string, string, string, string, number, number, string]>(
    `INSERT INTO hs_appservices (id, as_token_hash, sender_localpart, namespaces, receive_ephemeral, position, txn_prefix)
     VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET as_token_hash = excluded.as_token_hash, sender_localpart = excluded.sender_localpart,
       namespaces = excluded.namespaces, receive_ephemeral = excluded.receive_ephemeral
     RETURNING *`,
  )
  const remove = db.prepare('DELETE FROM hs_appservices WHERE id = ?')
  const claim = db.prepare(
    'UPDATE hs_appservices SET position = ?, txn_counter = ?, in_flight_to = ? WHERE num = ?',
  )
  return {
    all: () => all.all(),
    /** `position` and `prefix` apply only to a new appservice. */
    upsert(row: {
      id: string
      tokenHash: string
      senderLocalpart: string
      namespaces: string
      receiveEphemeral: boolean
      position: number
      prefix: string
    }): AppserviceRow {
      const saved = upsert.get(
        row.id,
        row.tokenHash,
        row.senderLocalpart,
        row.namespaces,
        row.receiveEphemeral ? 1 : 0,
        row.position,
        row.prefix,
      )
      if (!saved) throw new Error('the appservice was not saved')
      return saved
    },
    remove(id: string): void {
      remove.run(id)
    },
    /** Records what is acknowledged and what is in flight (null: nothing). */
    setProgress(num: number, position: number, txnCounter: number, inFlightTo: number | null): void {
      claim.run(position, txnCounter, inFlightTo, num)
    },
  }
}
