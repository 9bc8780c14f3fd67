/** hs_media: uploads. Files hold their content. */
import type { Database } from 'bun:sqlite'

export interface MediaRow {
  media_id: string
  user_id: string
  content_type: string | null
  filename: string | null
  size_bytes: number | null
}

/** A piece of a room's current state. */
interface ShownState {
  room: number
  type: string
  state_key: string
  content: string | null
}

export function mediaStore(db: Database) {
  const insert = db.prepare(
    `INSERT INTO hs_media (media_id, user_id, content_type, filename, size_bytes, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET content_type = excluded.content_type, filename = excluded.filename, size_bytes = excluded.size_bytes
       WHERE size_bytes IS NULL`,
  )
  const find = db.prepare<MediaRow, [string]>(
    'SELECT media_id, user_id, content_type, filename, size_bytes FROM hs_media WHERE media_id = ?',
  )
  const remove = db.prepare('DELETE FROM hs_media WHERE media_id = ?')
  const older = db.prepare<{ media_id: string; created_at: number }, [number, number, string, number]>(
    `SELECT media_id, created_at FROM hs_media WHERE created_at < ? AND (created_at, media_id) > (?, ?)
     ORDER BY created_at, media_id LIMIT ?`,
  )
  const avatars = db.prepare<{ user_id: string; avatar_url: string | null }, [string, number]>(
    'SELECT user_id, avatar_url FROM hs_users WHERE user_id > ? ORDER BY user_id LIMIT ?',
  )
  const states = db.prepare<ShownState, [number, string, string, number]>(
    `SELECT s.room, s.type, s.state_key, iif(e.content LIKE '%mxc://%', e.content, NULL) AS content
     FROM hs_room_state s CROSS JOIN hs_events e ON e.stream_id = s.stream_id
     WHERE (s.room, s.type, s.state_key) > (?, ?, ?) ORDER BY s.room, s.type, s.state_key LIMIT ?`,
  )

  return {
    remove: (mediaId: string): void => void remove.run(mediaId),
    /** @param after the row at which the last step ended */
    olderThan: (
      before: number,
      after: { created_at: number; media_id: string } | null,
      limit: number,
    ): { media_id: string; created_at: number }[] =>
      older.all(before, after?.created_at ?? -1, after?.media_id ?? '', limit),
    /** Avatars of the next users, by id. */
    avatars: (after: string, limit: number) => avatars.all(after, limit),
    /** The rooms' next pieces of current state; with content only where it names media. */
    states: ({ room, type, state_key }: Omit<ShownState, 'content'>, limit: number) =>
      states.all(room, type, state_key, limit),
    /** Records a new file, or fills a reserved one. */
    put(row: MediaRow, now: number): void {
      insert.run(row.media_id, row.user_id, row.content_type, row.filename, row.size_bytes, now)
    },
    find: (mediaId: string) => find.get(mediaId) ?? undefined,
  }
}
