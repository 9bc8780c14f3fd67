/** Tables of end-to-end encryption: device, one-time and cross-signing keys, to-device messages. */
import type { Database } from 'bun:sqlite'

export interface ToDeviceRow {
  stream_id: number
  sender: string
  type: string
  content: string
}

export interface DeviceKeysRow {
  device_id: string
  keys: string
  display_name: string | null
}

export interface OneTimeKeyRow {
  algorithm: string
  key_id: string
  key: string
}

/** Rows one statement deletes. They don't pile up: each write adds at most one transaction. */
const DELETED_AT_ONCE = 500
const PRUNED_AT_ONCE = 20

export function keyStore(db: Database) {
  const putDeviceKeys = db.prepare(
    'INSERT INTO hs_device_keys (user_id, device_id, keys) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET keys = excluded.keys',
  )
  const deviceKeys = db.prepare<DeviceKeysRow, [string, string, number]>(
    `SELECT k.device_id, k.keys, d.display_name FROM hs_device_keys k
     LEFT JOIN hs_devices d ON d.user_id = k.user_id AND d.device_id = k.device_id
     WHERE k.user_id = ? AND k.device_id > ? ORDER BY k.device_id LIMIT ?`,
  )
  const keysOfDevice = db.prepare<{ keys: string }, [string, string]>(
    'SELECT keys FROM hs_device_keys WHERE user_id = ? AND device_id = ?',
  )
  const oneTimeKey = db.prepare<{ key: string }, [string, string, string, string]>(
    'SELECT key FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? AND algorithm = ? AND key_id = ?',
  )
  const addOneTimeKey = db.prepare(
    'INSERT INTO hs_one_time_keys (user_id, device_id, algorithm, key_id, key) VALUES (?, ?, ?, ?, ?)',
  )
  const takeOneTimeKey = db.prepare<OneTimeKeyRow, [string, string, string]>(
    `DELETE FROM hs_one_time_keys WHERE (user_id, device_id, algorithm, key_id) IN (SELECT user_id, device_id, algorithm, key_id
       FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? AND algorithm = ? LIMIT 1) RETURNING algorithm, key_id, key`,
  )
  const counts = db.prepare<{ algorithm: string; count: number }, [string, string]>(
    'SELECT algorithm, count(*) AS count FROM hs_one_time_keys WHERE user_id = ? AND device_id = ? GROUP BY algorithm',
  )
  const putFallback = db.prepare(
    `INSERT INTO hs_fallback_keys (user_id, device_id, algorithm, key_id, key, used) VALUES (?, ?, ?, ?, ?, 0)
     ON CONFLICT DO UPDATE SET key_id = excluded.key_id, key = excluded.key, used = 0`,
  )
  const useFallback = db.prepare<OneTimeKeyRow, [string, string, string]>(
    'UPDATE hs_fallback_keys SET used = 1 WHERE user_id = ? AND device_id = ? AND algorithm = ? RETURNING algorithm, key_id, key',
  )
  const unusedFallback = db.prepare<{ algorithm: string }, [string, string]>(
    'SELECT algorithm FROM hs_fallback_keys WHERE user_id = ? AND device_id = ? AND used = 0',
  )
  const putCrossSigning = db.prepare(
    'INSERT INTO hs_cross_signing_keys (user_id, usage, key) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET key = excluded.key',
  )
  const crossSigning = db.prepare<{ usage: string; key: string }, [string]>(
    'SELECT usage, key FROM hs_cross_signing_keys WHERE user_id = ?',
  )
  const noteChange = db.prepare(
    'INSERT INTO hs_key_changes (user_id, stream_id) VALUES (?, ?) ON CONFLICT DO UPDATE SET stream_id = excluded.stream_id',
  )
  const changes = db.prepare<{ user_id: string; stream_id: number }, [number, number, number]>(
    'SELECT user_id, stream_id FROM hs_key_changes WHERE stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?',
  )
  const sendToDevice = db.prepare(
    'INSERT INTO hs_to_device (stream_id, user_id, device_id, sender, type, content) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const toDevice = db.prepare<ToDeviceRow, [string, string, number, number, number]>(
    `SELECT stream_id, sender, type, content FROM hs_to_device
     WHERE user_id = ? AND device_id = ? AND stream_id > ? AND stream_id <= ? ORDER BY stream_id LIMIT ?`,
  )
  const seen = db.prepare<{ found: number }, [string, string, number]>(
    'SELECT 1 AS found FROM hs_to_device WHERE user_id = ? AND device_id = ? AND stream_id <= ? LIMIT 1',
  )
  const deleteSeen = db.prepare(
    `DELETE FROM hs_to_device WHERE stream_id IN (
       SELECT stream_id FROM hs_to_device WHERE user_id = ? AND device_id = ? AND stream_id <= ? LIMIT ${DELETED_AT_ONCE})`,
  )
  const addTxn = db.prepare(
    'INSERT INTO hs_to_device_txns (user_id, txn_scope, txn_id, type, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const pruneTxns = db.prepare(
    `DELETE FROM hs_to_device_txns WHERE (user_id, txn_scope, txn_id, type) IN (
       SELECT user_id, txn_scope, txn_id, type FROM hs_to_device_txns WHERE created_at < ? LIMIT ${PRUNED_AT_ONCE})`,
  )
  return {
    putDeviceKeys(userId: string, deviceId: string, keys: string): void {
      putDeviceKeys.run(userId, deviceId, keys)
    },
    /** Keys of the user's next devices, by id. */
    deviceKeys: (userId: string, after: string, limit: number) => deviceKeys.all(userId, after, limit),
    keysOfDevice: (userId: string, deviceId: string) => keysOfDevice.get(userId, deviceId)?.keys,
    oneTimeKey: (userId: string, deviceId: string, algorithm: string, keyId: string) =>
      oneTimeKey.get(userId, deviceId, algorithm, keyId)?.key,
    addOneTimeKey(userId: string, deviceId: string, algorithm: string, keyId: string, key: string): void {
      addOneTimeKey.run(userId, deviceId, algorithm, keyId, key)
    },
    /** Takes a one-time key, which is used once, or else the fallback key. */
    claim(userId: string, deviceId: string, algorithm: string): OneTimeKeyRow | undefined {
      return (
        takeOneTimeKey.get(userId, deviceId, algorithm) ??
        useFallback.get(userId, deviceId, algorithm) ??
        undefined
      )
    },
    counts: (userId: string, deviceId: string): Record<string, number> =>
      Object.fromEntries(counts.all(userId, deviceId).map(row => [row.algorithm, row.count])),
    putFallback(userId: string, deviceId: string, algorithm: string, keyId: string, key: string): void {
      putFallback.run(userId, deviceId, algorithm, keyId, key)
    },
    unusedFallback: (userId: string, deviceId: string) =>
      unusedFallback.all(userId, deviceId).map(row => row.algorithm),
    putCrossSigning(userId: string, usage: string, key: string): void {
      putCrossSigning.run(userId, usage, key)
    },
    crossSigning: (userId: string): Record<string, string> =>
      Object.fromEntries(crossSigning.all(userId).map(row => [row.usage, row.key])),
    noteChange(userId: string, streamId: number): void {
      noteChange.run(userId, streamId)
    },
    /** Users whose keys changed, in order of the changes. */
    changes: (from: number, to: number, limit: number) => changes.all(from, to, limit),
    sendToDevice(
      streamId: number,
      to: { userId: string; deviceId: string },
      message: { sender: string; type: string; content: string },
    ): void {
      sendToDevice.run(streamId, to.userId, to.deviceId, message.sender, message.type, message.content)
    },
    toDevice: (userId: string, deviceId: string, [from, to]: [from: number, to: number], limit: number) =>
      toDevice.all(userId, deviceId, from, to, limit),
    hasSeen: (userId: string, deviceId: string, upTo: number) => seen.get(userId, deviceId, upTo) !== null,
    /** Deletes some of the device's messages. @returns true when there may be more */
    deleteSeen: (userId: string, deviceId: string, upTo: number): boolean =>
      deleteSeen.run(userId, deviceId, upTo).changes === DELETED_AT_ONCE,
    /** @returns false when this transaction was already done */
    addTxn(userId: string, scope: string, txnId: string, type: string, now: number): boolean {
      return addTxn.run(userId, scope, txnId, type, now).changes > 0
    },
    pruneTxns(before: number): void {
      pruneTxns.run(before)
    },
  }
}
