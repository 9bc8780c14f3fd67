/** hs_users, hs_devices, hs_account_data and hs_filters: what belongs to a user. */
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

export interface AccountDataRow {
  room: number
  type: string
  content: string
  stream_id: number
}

export type UserStore = ReturnType<typeof userStore>

export function userStore(db: Database) {
  const insert = db.prepare('INSERT INTO hs_users (user_id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const profile = db.prepare<Profile, [string]>(
    'SELECT displayname, avatar_url FROM hs_users WHERE user_id = ?',
  )
  const setDisplayname = db.prepare('UPDATE hs_users SET displayname = ? WHERE user_id = ?')
  const setAvatar = db.prepare('UPDATE hs_users SET avatar_url = ? WHERE user_id = ?')
  const search = db.prepare<Profile & { user_id: string }, [string, string, string, string, number]>(
    `SELECT u.user_id, u.displayname, u.avatar_url FROM hs_users u
     WHERE (u.user_id LIKE ? ESCAPE '\\' OR u.displayname LIKE ? ESCAPE '\\') AND (u.user_id = ? OR EXISTS (
       SELECT 1 FROM hs_room_state mine JOIN hs_room_state theirs
         ON theirs.room = mine.room AND theirs.type = 'm.room.member' AND theirs.state_key = u.user_id AND theirs.membership = 'join'
       WHERE mine.type = 'm.room.member' AND mine.state_key = ? AND mine.membership = 'join'))
     ORDER BY u.user_id LIMIT ?`,
  )
  const sharesRoom = db.prepare<{ found: number }, [string, string]>(
    `SELECT 1 AS found FROM hs_room_state mine JOIN hs_room_state theirs
       ON theirs.room = mine.room AND theirs.type = 'm.room.member' AND theirs.state_key = ? AND theirs.membership = 'join'
     WHERE mine.type = 'm.room.member' AND mine.state_key = ? AND mine.membership = 'join' LIMIT 1`,
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
  const ofDevice = [
    'hs_devices',
    'hs_device_keys',
    'hs_one_time_keys',
    'hs_fallback_keys',
    'hs_to_device',
  ].map(table => db.prepare(`DELETE FROM ${table} WHERE user_id = ? AND device_id = ?`))
  const putAccountData = db.prepare(
    `INSERT INTO hs_account_data (user_id, room, type, content, stream_id) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET content = excluded.content, stream_id = excluded.stream_id`,
  )
  const accountData = db.prepare<{ content: string }, [string, number, string]>(
    'SELECT content FROM hs_account_data WHERE user_id = ? AND room = ? AND type = ?',
  )
  const accountDataSince = db.prepare<AccountDataRow, [string, number]>(
    'SELECT room, type, content, stream_id FROM hs_account_data WHERE user_id = ? AND stream_id > ? ORDER BY stream_id',
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
  const like = (term: string) => `%${term.replace(/[\\%_]/g, '\\$&')}%`

  return {
    insert(userId: string, now: number): void {
      insert.run(userId, now)
    },
    profile: (userId: string) => profile.get(userId) ?? undefined,
    setDisplayname(userId: string, value: string | null): void {
      setDisplayname.run(value, userId)
    },
    setAvatar(userId: string, value: string | null): void {
      setAvatar.run(value, userId)
    },
    /** Users whom `userId` shares a room with, and the user too. */
    search: (userId: string, term: string, limit: number) =>
      search.all(like(term), like(term), userId, userId, limit),
    shareRoom: (userId: string, other: string) => sharesRoom.get(other, userId) !== null,
    /** Makes the device or gives it a new token. */
    logIn(userId: string, deviceId: string, name: string | null, hash: string, now: number): void {
      upsertDevice.run(userId, deviceId, name, hash, now)
    },
    addDevice(userId: string, deviceId: string, name: string | null, now: number): void {
      addDevice.run(userId, deviceId, name, now)
    },
    renameDevice(userId: string, deviceId: string, name: string | null): void {
      renameDevice.run(name, userId, deviceId)
    },
    /** Removes the device with its keys and messages. */
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
    accountDataSince: (userId: string, since: number) => accountDataSince.all(userId, since),
    forget(userId: string, room: number): void {
      forget.run(userId, room)
    },
    /** Undoes `forget`, for a room that the user comes back to. */
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
