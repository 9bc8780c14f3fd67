/** hs_receipts: how far each member has read. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface ReceiptRow {
  room: number
  room_id: string
  user_id: string
  receipt_type: string
  thread_id: string
  event_id: string
  ts: number
  stream_id: number
}

const SELECT = `SELECT c.room, r.room_id, c.user_id, c.receipt_type, c.thread_id, c.event_id, c.ts, c.stream_id
  FROM hs_receipts c JOIN hs_rooms r ON r.room = c.room`

export function receiptStore(db: Database) {
  const { value, all, run } = statementsOf(db)
  return {
    put: run<[Omit<ReceiptRow, 'room_id'>]>(
      `INSERT INTO hs_receipts (room, user_id, receipt_type, thread_id, event_id, ts, stream_id)
       VALUES ($room, $user_id, $receipt_type, $thread_id, $event_id, $ts, $stream_id)
       ON CONFLICT DO UPDATE SET event_id = excluded.event_id, ts = excluded.ts, stream_id = excluded.stream_id`,
    ),
    /** The event that the user's receipt names. */
    current: value<string, [room: number, userId: string, type: string, threadId: string]>(
      'SELECT event_id FROM hs_receipts WHERE room = ? AND user_id = ? AND receipt_type = ? AND thread_id = ?',
    ),
    /** Newest first. */
    ofRoom: all<ReceiptRow, [room: number, since: number, limit: number]>(
      `${SELECT} WHERE c.room = ? AND c.stream_id > ? ORDER BY c.stream_id DESC LIMIT ?`,
    ),
    lastOfRoom: value<number | null, [room: number]>('SELECT max(stream_id) FROM hs_receipts WHERE room = ?'),
    stream: all<ReceiptRow, [from: number, to: number, limit: number]>(
      `${SELECT} WHERE c.stream_id > ? AND c.stream_id <= ? ORDER BY c.stream_id LIMIT ?`,
    ),
  }
}
