/** hs_users, hs_devices, hs_account_data and hs_filters: a user's data. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface Profile {
  displayname: string | null
  avatar_url: string | null
}

export type UserRow = Profile & { user_id: string }

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

export type UserStore = ReturnType<typeof userStore>

export function userStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  const setProfile = {
    displayname: run<[string | null, string]>('UPDATE hs_users SET displayname = ? WHERE user_id = ?'),
    avatar_url: run<[string | null, string]>('UPDATE hs_users SET avatar_url = ? WHERE user_id = ?'),
  }
  const profileChange = one<{ room: number }, [string]>(
    'SELECT room FROM hs_profile_changes WHERE user_id = ?',
  )
  const countDevices = one<{ count: number }, [string]>(
    'SELECT count(*) AS count FROM hs_devices WHERE user_id = ?',
  )
  const ofDevice = ['hs_devices', 'hs_device_keys', 'hs_one_time_keys', 'hs_fallback_keys'].map(table =>
    run<[string, string]>(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  )
  const accountData = one<{ content: string }, [string, number, string]>(
    'SELECT content FROM hs_account_data WHERE user_id = ? AND room = ? AND type = ?',
  )
  const accountDataTypes = all<{ type: string }, [string, number, string, number]>(
    'SELECT type FROM hs_account_data WHERE user_id = ? AND room = ? AND type > ? ORDER BY type LIMIT ?',
  )
  const putFilter = one<{ filter_id: number }, [string, string]>(
    'INSERT INTO hs_filters (user_id, filter) VALUES (?, ?) ON CONFLICT DO UPDATE SET filter = excluded.filter RETURNING filter_id',
  )
  const filter = one<{ filter: string }, [number, string]>(
    'SELECT filter FROM hs_filters WHERE filter_id = ? AND user_id = ?',
  )
  const forgotten = one<{ found: number }, [string, number]>(
    'SELECT 1 AS found FROM hs_forgotten WHERE user_id = ? AND room = ?',
  )

  return {
    insert: run<[userId: string, now: number]>(
      'INSERT INTO hs_users (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    profile: one<Profile, [userId: string]>('SELECT displayname, avatar_url FROM hs_users WHERE user_id = ?'),
    setProfile: (userId: string, field: keyof Profile, value: string | null) =>
      setProfile[field](value, userId),
    /** Records that rooms up to `room` have the changed profile, and later ones don't. */
    noteProfileChange: run<[userId: string, room: number]>(
      'INSERT INTO hs_profile_changes (user_id, room) VALUES (?, ?) ON CONFLICT DO UPDATE SET room = excluded.room',
    ),
    profileChange: (userId: string) => profileChange(userId)?.room,
    profileChanges: all<{ user_id: string }>('SELECT user_id FROM hs_profile_changes'),
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
    countDevices: (userId: string) => countDevices(userId)?.count ?? 0,
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
    accountData: (userId: string, room: number, type: string) => accountData(userId, room, type)?.content,
    accountDataSince: all<AccountDataKey, [userId: string, since: number, limit: number]>(
      'SELECT room, type, stream_id FROM hs_account_data WHERE user_id = ? AND stream_id > ? ORDER BY stream_id LIMIT ?',
    ),
    accountDataTypes: (userId: string, room: number, after: string, limit: number) =>
      accountDataTypes(userId, room, after, limit).map(row => row.type),
    forget: run<[userId: string, room: number]>(
      'INSERT INTO hs_forgotten (user_id, room) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    /** Undoes `forget` when the user returns to a room. */
    remember: run<[userId: string, room: number]>('DELETE FROM hs_forgotten WHERE user_id = ? AND room = ?'),
    hasForgotten: (userId: string, room: number) => forgotten(userId, room) !== undefined,
    putFilter: (userId: string, text: string) => putFilter(userId, text)?.filter_id ?? 0,
    filter: (filterId: number, userId: string) => filter(filterId, userId)?.filter,
  }
}
