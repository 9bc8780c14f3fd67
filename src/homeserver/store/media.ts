/** hs_media: uploads. Files hold their content. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../lib/statements.ts'

export interface MediaRow {
  media_id: string
  user_id: string
  content_type: string | null
  filename: string | null
  size_bytes: number | null
}

/** A row's place by age. */
export interface MediaAge {
  created_at: number
  media_id: string
}

export interface AvatarRow {
  user_id: string
  avatar_url: string | null
}

/** A piece of a room's current state. */
interface ShownState {
  room: number
  type: string
  state_key: string
  content: string | null
}

export function mediaStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  const put = run<[string, string, string | null, string | null, number | null, number]>(
    `INSERT INTO hs_media (media_id, user_id, content_type, filename, size_bytes, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET content_type = excluded.content_type, filename = excluded.filename, size_bytes = excluded.size_bytes
       WHERE size_bytes IS NULL`,
  )
  const older = all<MediaAge, [number, number, string, number]>(
    `SELECT media_id, created_at FROM hs_media WHERE created_at < ? AND (created_at, media_id) > (?, ?)
     ORDER BY created_at, media_id LIMIT ?`,
  )
  const states = all<ShownState, [number, string, string, number]>(
    `SELECT s.room, s.type, s.state_key, iif(e.content LIKE '%mxc://%', e.content, NULL) AS content
     FROM hs_room_state s CROSS JOIN hs_events e ON e.stream_id = s.stream_id
     WHERE (s.room, s.type, s.state_key) > (?, ?, ?) ORDER BY s.room, s.type, s.state_key LIMIT ?`,
  )
  return {
    find: one<MediaRow, [mediaId: string]>(
      'SELECT media_id, user_id, content_type, filename, size_bytes FROM hs_media WHERE media_id = ?',
    ),
    /** Records a new file, or fills a reserved one. */
    put: ({ media_id, user_id, content_type, filename, size_bytes }: MediaRow, now: number) =>
      put(media_id, user_id, content_type, filename, size_bytes, now),
    remove: run<[mediaId: string]>('DELETE FROM hs_media WHERE media_id = ?'),
    /** @param after the row at which the last step ended */
    olderThan: (before: number, after: MediaAge | null, limit: number) =>
      older(before, after?.created_at ?? -1, after?.media_id ?? '', limit),
    /** Avatars of the next users, by id. */
    avatars: all<AvatarRow, [after: string, limit: number]>(
      'SELECT user_id, avatar_url FROM hs_users WHERE user_id > ? ORDER BY user_id LIMIT ?',
    ),
    /** The rooms' next pieces of current state; with content only where it names media. */
    states: ({ room, type, state_key }: Omit<ShownState, 'content'>, limit: number) =>
      states(room, type, state_key, limit),
  }
}
