/** hs_users, hs_devices, hs_account_data and hs_filters: a user's data. */
import type { Database } from 'bun:sqlite'

export interface Profile {
  displayname: string | null
  avatar_url: string | null
}

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
  const insert = db.prepare('INSERT INTO hs_users (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const profile = db.prepare<Profile, [string]>(
    'SELECT displayname, avatar_url FROM hs_users WHERE user_id = ?',
  )
  const setProfile = {
    displayname: db.prepare('UPDATE hs_users SET displayname = ? WHERE user_id = ?'),
    avatar_url: db.prepare('UPDATE hs_users SET avatar_url = ? WHERE user_id = ?'),
  }
  const noteProfileChange = db.prepare(
    'INSERT INTO hs_profile_changes (user_id, room) VALUES (?, ?) ON CONFLICT DO UPDATE SET room = excluded.room',
  )
  const profileChange = db.prepare<{ room: number }, [string]>(
    'SELECT room FROM hs_profile_changes WHERE user_id = ?',
  )
  const profileChanges = db.prepare<{ user_id: string }, []>('SELECT user_id FROM hs_profile_changes')
  const profileIsEverywhere = db.prepare('DELETE FROM hs_profile_changes WHERE user_id = ?')
  const page = db.prepare<Profile & { user_id: string }, [string, number]>(
    'SELECT user_id, displayname, avatar_url FROM hs_users WHERE user_id > ? ORDER BY user_id LIMIT ?',
  )
  const upsertDevice = db.prepare(
    `INSERT INTO hs_devices (user_id, device_id, display_name, token_hash, created_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET token_hash = excluded.token_hash, display_name = coalesce(excluded.display_name, display_name)`,
  )
  const addDevice = db.prepare(
    'INSERT INTO hs_devices (user_id, device_id, display_name, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const renameDevice = db.prepare(
    'UPDATE hs_devices SET display_name = ? WHERE user_id = ? AND device_id = ?',
  )
  const deviceByToken = db.prepare<DeviceRow, [string]>(
    'SELECT user_id, device_id, display_name FROM hs_devices WHERE token_hash = ?',
  )
  const devices = db.prepare<DeviceRow, [string]>(
    'SELECT user_id, device_id, display_name FROM hs_devices WHERE user_id = ? ORDER BY device_id',
  )
  const device = db.prepare<DeviceRow, [string, string]>(
    'SELECT user_id, device_id, display_name FROM hs_devices WHERE user_id = ? AND device_id = ?',
  )
  const logOut = db.prepare('UPDATE hs_devices SET token_hash = NULL WHERE user_id = ? AND device_id = ?')
  const countDevices = db.prepare<{ count: number }, [string]>(
    'SELECT count(*) AS count FROM hs_devices WHERE user_id = ?',
  )
  const ofDevice = ['hs_devices', 'hs_device_keys', 'hs_one_time_keys', 'hs_fallback_keys'].map(table =>
    db.prepare(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`),
  )
  const putAccountData = db.prepare(
    `INSERT INTO hs_account_data (user_id, room, type, content, stream_id) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET content = excluded.content, stream_id = excluded.stream_id`,
  )
  const accountData = db.prepare<{ content: string }, [string, number, string]>(
    'SELECT content FROM hs_account_data WHERE user_id = ? AND room = ? AND type = ?',
  )
  const accountDataSince = db.prepare<AccountDataKey, [string, number, number]>(
    'SELECT room, type, stream_id FROM hs_account_data WHERE user_id = ? AND stream_id > ? ORDER BY stream_id LIMIT ?',
  )
  const accountDataTypes = db.prepare<{ type: string }, [string, number, string, number]>(
    'SELECT type FROM hs_account_data WHERE user_id = ? AND room = ? AND type > ? ORDER BY type LIMIT ?',
  )
  const putFilter = db.prepare<{ filter_id: number }, [string, string]>(
    'INSERT INTO hs_filters (user_id, filter) VALUES (?, ?) ON CONFLICT DO UPDATE SET filter = excluded.filter RETURNING filter_id',
  )
  const filter = db.prepare<{ filter: string }, [number, string]>(
    'SELECT filter FROM hs_filters WHERE filter_id = ? AND user_id = ?',
  )
  const forget = db.prepare('INSERT INTO hs_forgotten (user_id, room) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const remember = db.prepare('DELETE FROM hs_forgotten WHERE user_id = ? AND room = ?')
  const forgotten = db.prepare<{ found: number }, [string, number]>(
    'SELECT 1 AS found FROM hs_forgotten WHERE user_id = ? AND room = ?',
  )

  return {
    insert(userId: string, now: number): void {
      insert.run(userId, now)
    },
    profile: (userId: string) => profile.get(userId) ?? undefined,
    setProfile(userId: string, field: keyof Profile, value: string | null): void {
      setProfile[field].run(value, userId)
    },
    /** Records that rooms up to `room` have the changed profile, and later ones don't. */
    noteProfileChange(userId: string, room: number): void {
      noteProfileChange.run(userId, room)
    },
    profileChange: (userId: string) => profileChange.get(userId)?.room,
    profileChanges: () => profileChanges.all(),
    profileIsEverywhere(userId: string): void {
      profileIsEverywhere.run(userId)
    },
    /** Next users, by id. */
    page: (after: string, limit: number) => page.all(after, limit),
    /** Creates the device or gives it a new token. */
    logIn(userId: string, deviceId: string, name: string | null, hash: string, now: number): void {
      upsertDevice.run(userId, deviceId, name, hash, now)
    },
    addDevice(userId: string, deviceId: string, name: string | null, now: number): void {
      addDevice.run(userId, deviceId, name, now)
    },
    renameDevice(userId: string, deviceId: string, name: string | null): void {
      renameDevice.run(name, userId, deviceId)
    },
    /** Invalidates the device's token. */
    logOut(userId: string, deviceId: string): void {
      logOut.run(userId, deviceId)
    },
    countDevices: (userId: string) => countDevices.get(userId)?.count ?? 0,
    /** Removes the device with its keys. `KeyStore.deleteSeen` removes its messages. */
    deleteDevice(userId: string, deviceId: string): void {
      for (const statement of ofDevice) statement.run(userId, deviceId)
    },
    deviceByToken: (hash: string) => deviceByToken.get(hash) ?? undefined,
    devices: (userId: string) => devices.all(userId),
    device: (userId: string, deviceId: string) => device.get(userId, deviceId) ?? undefined,
    putAccountData(userId: string, room: number, type: string, content: string, streamId: number): void {
      putAccountData.run(userId, room, type, content, streamId)
    },
    accountData: (userId: string, room: number, type: string) => accountData.get(userId, room, type)?.content,
    accountDataSince: (userId: string, since: number, limit: number) =>
      accountDataSince.all(userId, since, limit),
    accountDataTypes: (userId: string, room: number, after: string, limit: number) =>
      accountDataTypes.all(userId, room, after, limit).map(row => row.type),
    forget(userId: string, room: number): void {
      forget.run(userId, room)
    },
    /** Undoes `forget` when the user returns to a room. */
    remember(userId: string, room: number): void {
      remember.run(userId, room)
    },
    hasForgotten: (userId: string, room: number) => forgotten.get(userId, room) !== null,
    putFilter(userId: string, text: string): number {
      return putFilter.get(userId, text)?.filter_id ?? 0
    },
    filter: (filterId: number, userId: string) => filter.get(filterId, userId)?.filter,
  }
}
