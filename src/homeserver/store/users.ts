/** hs_users, hs_devices, hs_account_data, hs_filters and hs_receipts: a user's data. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface Profile {
  displayname: string | null
  avatar_url: string | null
  /** Every other field, as a JSON object. */
  fields: string | null
}

export type UserRow = Omit<Profile, 'fields'> & { user_id: string }

export interface DeviceRow {
  user_id: string
  device_id: string
  display_name: string | null
}

/** A piece of account data without its content. */
export interface AccountDataKey {
  room: number
  type: string
  stream_id: number
}

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

const RECEIPTS = `SELECT c.room, r.room_id, c.user_id, c.receipt_type, c.thread_id, c.event_id, c.ts, c.stream_id
  FROM hs_receipts c JOIN hs_rooms r ON r.room = c.room`

export type UserStore = ReturnType<typeof userStore>

export function userStore(db: Database) {
  const { one, value, has, all, values, run } = statementsOf(db)
  const ofDevice = ['hs_devices', 'hs_device_keys', 'hs_one_time_keys', 'hs_fallback_keys'].map(table =>
    run<[string, string]>(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  )
  return {
    insert: run<[userId: string, now: number]>(
      'INSERT INTO hs_users (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    profile: one<Profile, [userId: string]>(
      'SELECT displayname, avatar_url, fields FROM hs_users WHERE user_id = ?',
    ),
    setProfile: run<[Profile & { user_id: string }]>(
      `UPDATE hs_users SET displayname = $displayname, avatar_url = $avatar_url, fields = $fields
       WHERE user_id = $user_id`,
    ),
    /** Records that rooms up to `room` have the changed profile, and later ones don't. */
    noteProfileChange: run<[userId: string, room: number]>(
      'INSERT INTO hs_profile_changes (user_id, room) VALUES (?, ?) ON CONFLICT DO UPDATE SET room = excluded.room',
    ),
    profileChange: value<number, [userId: string]>('SELECT room FROM hs_profile_changes WHERE user_id = ?'),
    profileChanges: values<string>('SELECT user_id FROM hs_profile_changes'),
    profileIsEverywhere: run<[userId: string]>('DELETE FROM hs_profile_changes WHERE user_id = ?'),
    /** Next users, by id. */
    page: all<UserRow, [after: string, limit: number]>(
      'SELECT user_id, displayname, avatar_url FROM hs_users WHERE user_id > ? ORDER BY user_id LIMIT ?',
    ),
    /** Creates the device or gives it a new token. */
    logIn: run<[userId: string, deviceId: string, name: string | null, tokenHash: string, now: number]>(
      `INSERT INTO hs_devices (user_id, device_id, display_name, token_hash, created_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET token_hash = excluded.token_hash, display_name = coalesce(excluded.display_name, display_name)`,
    ),
    addDevice: run<[userId: string, deviceId: string, name: string | null, now: number]>(
      'INSERT INTO hs_devices (user_id, device_id, display_name, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    renameDevice: run<[name: string | null, userId: string, deviceId: string]>(
      'UPDATE hs_devices SET display_name = ? WHERE user_id = ? AND device_id = ?',
    ),
    /** Invalidates the device's token. */
    logOut: run<[userId: string, deviceId: string]>(
      'UPDATE hs_devices SET token_hash = NULL WHERE user_id = ? AND device_id = ?',
    ),
    countDevices: value<number, [userId: string]>('SELECT count(*) FROM hs_devices WHERE user_id = ?'),
    /** Removes the device with its keys. `KeyStore.deleteSeen` removes its messages. */
    deleteDevice(userId: string, deviceId: string): void {
      for (const remove of ofDevice) remove(userId, deviceId)
    },
    deviceByToken: one<DeviceRow, [tokenHash: string]>(
      'SELECT user_id, device_id, display_name FROM hs_devices WHERE token_hash = ?',
    ),
    devices: all<DeviceRow, [userId: string]>(
      'SELECT user_id, device_id, display_name FROM hs_devices WHERE user_id = ? ORDER BY device_id',
    ),
    device: one<DeviceRow, [userId: string, deviceId: string]>(
      'SELECT user_id, device_id, display_name FROM hs_devices WHERE user_id = ? AND device_id = ?',
    ),
    putAccountData: run<[userId: string, room: number, type: string, content: string, streamId: number]>(
      `INSERT INTO hs_account_data (user_id, room, type, content, stream_id) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET content = excluded.content, stream_id = excluded.stream_id`,
    ),
    accountData: value<string, [userId: string, room: number, type: string]>(
      'SELECT content FROM hs_account_data WHERE user_id = ? AND room = ? AND type = ?',
    ),
    accountDataSince: all<AccountDataKey, [userId: string, since: number, limit: number]>(
      'SELECT room, type, stream_id FROM hs_account_data WHERE user_id = ? AND stream_id > ? ORDER BY stream_id LIMIT ?',
    ),
    accountDataTypes: values<string, [userId: string, room: number, after: string, limit: number]>(
      'SELECT type FROM hs_account_data WHERE user_id = ? AND room = ? AND type > ? ORDER BY type LIMIT ?',
    ),
    forget: run<[userId: string, room: number]>(
      'INSERT INTO hs_forgotten (user_id, room) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    /** Undoes `forget` when the user returns to a room. */
    remember: run<[userId: string, room: number]>('DELETE FROM hs_forgotten WHERE user_id = ? AND room = ?'),
    hasForgotten: has<[userId: string, room: number]>(
      'SELECT 1 FROM hs_forgotten WHERE user_id = ? AND room = ?',
    ),
    /** @returns the filter's number */
    putFilter: value<number, [userId: string, text: string]>(
      'INSERT INTO hs_filters (user_id, filter) VALUES (?, ?) ON CONFLICT DO UPDATE SET filter = excluded.filter RETURNING filter_id',
    ),
    filter: value<string, [filterId: number, userId: string]>(
      'SELECT filter FROM hs_filters WHERE filter_id = ? AND user_id = ?',
    ),
    putReceipt: run<[Omit<ReceiptRow, 'room_id'>]>(
      `INSERT INTO hs_receipts (room, user_id, receipt_type, thread_id, event_id, ts, stream_id)
       VALUES ($room, $user_id, $receipt_type, $thread_id, $event_id, $ts, $stream_id)
       ON CONFLICT DO UPDATE SET event_id = excluded.event_id, ts = excluded.ts, stream_id = excluded.stream_id`,
    ),
    /** The event that the user's receipt names. */
    receipt: value<string, [room: number, userId: string, type: string, threadId: string]>(
      'SELECT event_id FROM hs_receipts WHERE room = ? AND user_id = ? AND receipt_type = ? AND thread_id = ?',
    ),
    /** A room's receipts, newest first. */
    receiptsOf: all<ReceiptRow, [room: number, since: number, limit: number]>(
      `${RECEIPTS} WHERE c.room = ? AND c.stream_id > ? ORDER BY c.stream_id DESC LIMIT ?`,
    ),
    lastReceiptOf: value<number | null, [room: number]>(
      'SELECT max(stream_id) FROM hs_receipts WHERE room = ?',
    ),
    receipts: all<ReceiptRow, [from: number, to: number, limit: number]>(
      `${RECEIPTS} WHERE c.stream_id > ? AND c.stream_id <= ? ORDER BY c.stream_id LIMIT ?`,
    ),
  }
}
