/** Tables of end-to-end encryption: device, one-time and cross-signing keys, to-device messages. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface ToDeviceRow {
  stream_id: number
  sender: string
  type: string
  content: string
}

interface DeviceKeysRow {
  device_id: string
  keys: string
  display_name: string | null
}

interface OneTimeKeyRow {
  algorithm: string
  key_id: string
  key: string
}

type Device = [userId: string, deviceId: string]
type Algorithm = [...Device, algorithm: string]
type DeviceKey = [...Algorithm, keyId: string]

/** Rows one statement deletes. They don't pile up: each write adds at most one transaction. */
const DELETED_AT_ONCE = 500
const PRUNED_AT_ONCE = 20

export function keyStore(db: Database) {
  const { one, value, has, all, values, run } = statementsOf(db)
  const takeOneTimeKey = one<OneTimeKeyRow, Algorithm>(
    `DELETE FROM hs_one_time_keys WHERE (user_id, device_id, algorithm, key_id) IN (SELECT user_id, device_id, algorithm, key_id
       FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? AND algorithm = ? LIMIT 1) RETURNING algorithm, key_id, key`,
  )
  const useFallback = one<OneTimeKeyRow, Algorithm>(
    'UPDATE hs_fallback_keys SET used = 1 WHERE user_id = ? AND device_id = ? AND algorithm = ? RETURNING algorithm, key_id, key',
  )
  const counts = all<{ algorithm: string; count: number }, Device>(
    'SELECT algorithm, count(*) AS count FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? GROUP BY algorithm',
  )
  const crossSigning = all<{ usage: string; key: string }, [string]>(
    'SELECT usage, key FROM hs_cross_signing_keys WHERE user_id = ?',
  )
  const deleteSeen = run<[...Device, number]>(
    `DELETE FROM hs_to_device WHERE stream_id IN (
       SELECT stream_id FROM hs_to_device WHERE user_id = ? AND device_id = ? AND stream_id <= ? LIMIT ${DELETED_AT_ONCE})`,
  )
  return {
    putDeviceKeys: run<[...Device, keys: string]>(
      'INSERT INTO hs_device_keys (user_id, device_id, keys) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET keys = excluded.keys',
    ),
    /** Keys of the user's next devices, by id. */
    deviceKeys: all<DeviceKeysRow, [userId: string, after: string, limit: number]>(
      `SELECT k.device_id, k.keys, d.display_name FROM hs_device_keys k
       LEFT JOIN hs_devices d ON d.user_id = k.user_id AND d.device_id = k.device_id
       WHERE k.user_id = ? AND k.device_id > ? ORDER BY k.device_id LIMIT ?`,
    ),
    keysOfDevice: value<string, Device>(
      'SELECT keys FROM hs_device_keys WHERE user_id = ? AND device_id = ?',
    ),
    oneTimeKey: value<string, DeviceKey>(
      'SELECT key FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? AND algorithm = ? AND key_id = ?',
    ),
    addOneTimeKey: run<[...DeviceKey, key: string]>(
      'INSERT INTO hs_one_time_keys (user_id, device_id, algorithm, key_id, key) VALUES (?, ?, ?, ?, ?)',
    ),
    /** Takes a one-time key, which is used once, or else the fallback key. */
    claim: (...algorithm: Algorithm) => takeOneTimeKey(...algorithm) ?? useFallback(...algorithm),
    counts: (...device: Device): Record<string, number> =>
      Object.fromEntries(counts(...device).map(row => [row.algorithm, row.count])),
    putFallback: run<[...DeviceKey, key: string]>(
      `INSERT INTO hs_fallback_keys (user_id, device_id, algorithm, key_id, key, used) VALUES (?, ?, ?, ?, ?, 0)
       ON CONFLICT DO UPDATE SET key_id = excluded.key_id, key = excluded.key, used = 0`,
    ),
    unusedFallback: values<string, Device>(
      'SELECT algorithm FROM hs_fallback_keys WHERE user_id = ? AND device_id = ? AND used = 0',
    ),
    putCrossSigning: run<[userId: string, usage: string, key: string]>(
      'INSERT INTO hs_cross_signing_keys (user_id, usage, key) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET key = excluded.key',
    ),
    crossSigning: (userId: string): Record<string, string> =>
      Object.fromEntries(crossSigning(userId).map(row => [row.usage, row.key])),
    noteChange: run<[userId: string, streamId: number]>(
      'INSERT INTO hs_key_changes (user_id, stream_id) VALUES (?, ?) ON CONFLICT DO UPDATE SET stream_id = excluded.stream_id',
    ),
    /** Users whose keys changed, in order of the changes. */
    changes: all<{ user_id: string; stream_id: number }, [from: number, to: number, limit: number]>(
      'SELECT user_id, stream_id FROM hs_key_changes WHERE stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?',
    ),
    sendToDevice: run<[streamId: number, ...Device, sender: string, type: string, content: string]>(
      'INSERT INTO hs_to_device (stream_id, user_id, device_id, sender, type, content) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    toDevice: all<ToDeviceRow, [...Device, from: number, to: number, limit: number]>(
      `SELECT stream_id, sender, type, content FROM hs_to_device
       WHERE user_id = ? AND device_id = ? AND stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?`,
    ),
    hasSeen: has<[...Device, upTo: number]>(
      'SELECT 1 FROM hs_to_device WHERE user_id = ? AND device_id = ? AND stream_id <= ? LIMIT 1',
    ),
    /** Deletes some of the device's messages. @returns true when there may be more */
    deleteSeen: (userId: string, deviceId: string, upTo: number): boolean =>
      deleteSeen(userId, deviceId, upTo) === DELETED_AT_ONCE,
    /** @returns 0 when this transaction was already done */
    addTxn: run<[userId: string, scope: string, txnId: string, type: string, now: number]>(
      'INSERT INTO hs_to_device_txns (user_id, txn_scope, txn_id, type, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    pruneTxns: run<[before: number]>(
      `DELETE FROM hs_to_device_txns WHERE (user_id, txn_scope, txn_id, type) IN (
         SELECT user_id, txn_scope, txn_id, type FROM hs_to_device_txns WHERE created_at < ? LIMIT ${PRUNED_AT_ONCE})`,
    ),
  }
}
