/** Builds the content of an m.receipt event. */
import type { JsonObject } from './json.ts'
import { isObject } from './json.ts'
import type { ReceiptRow } from './store/receipts.ts'

/** thread_id of a receipt for no particular thread. */
export const UNTHREADED = ''

/** @see https://spec.matrix.org/v1.12/client-server-api/#mreceipt */
export function receiptContent(rows: ReceiptRow[]): JsonObject {
  const content: JsonObject = {}
  for (const row of rows) {
    const ofEvent = child(content, row.event_id)
    const ofType = child(ofEvent, row.receipt_type)
    ofType[row.user_id] =
      row.thread_id === UNTHREADED ? { ts: row.ts } : { ts: row.ts, thread_id: row.thread_id }
  }
  return content
}

function child(parent: JsonObject, key: string): JsonObject {
  const existing = parent[key]
  if (isObject(existing)) return existing
  const made: JsonObject = {}
  parent[key] = made
  return made
}
