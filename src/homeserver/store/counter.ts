/** Position of the stream: the highest number of any stored row. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

/** @returns the last stream position on disk */
export function lastStreamId(db: Database): number {
  const last = statementsOf(db).one<{ stream_id: number | null }>(
    `SELECT max(stream_id) AS stream_id FROM (
       SELECT stream_id FROM hs_counter
       UNION ALL SELECT max(stream_id) FROM hs_events
       UNION ALL SELECT max(stream_id) FROM hs_receipts
       UNION ALL SELECT max(stream_id) FROM hs_account_data
       UNION ALL SELECT max(stream_id) FROM hs_to_device
       UNION ALL SELECT max(stream_id) FROM hs_key_changes)`,
  )
  return last()?.stream_id ?? 0
}

/** Reserves a number whose row will be deleted, so that it isn't reused. */
export function counterStore(db: Database) {
  return statementsOf(db).run<[streamId: number]>(
    'UPDATE hs_counter SET stream_id = max(stream_id, ?) WHERE id = 1',
  )
}
