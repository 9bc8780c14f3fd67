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

/** Place of a piece of a room's current state. */
export interface StatePlace {
  room: number
  type: string
  state_key: string
}

export function mediaStore(db: Database) {
  const { one, all, run } = statementsOf(db)
  return {
    find: one<MediaRow, [mediaId: string]>(
      'SELECT media_id, user_id, content_type, filename, size_bytes FROM hs_media WHERE media_id = ?',
    ),
    /** Records a new file, or fills a reserved one. */
    put: run<[MediaRow & { now: number }]>(
      `INSERT INTO hs_media (media_id, user_id, content_type, filename, size_bytes, created_at)
       VALUES ($media_id, $user_id, $content_type, $filename, $size_bytes, $now)
       ON CONFLICT DO UPDATE SET content_type = excluded.content_type, filename = excluded.filename, size_bytes = excluded.size_bytes
         WHERE size_bytes IS NULL`,
    ),
    remove: run<[mediaId: string]>('DELETE FROM hs_media WHERE media_id = ?'),
    /** Media after the row at which the last step ended, by age. */
    olderThan: all<MediaAge, [MediaAge & { before: number; limit: number }]>(
      `SELECT media_id, created_at FROM hs_media
       WHERE created_at < $before AND (created_at, media_id) > ($created_at, $media_id)
       ORDER BY created_at, media_id LIMIT $limit`,
    ),
    /** The parts of the next users' profiles that may name media, by id. */
    profiles: all<{ user_id: string; text: string | null }, [after: string, limit: number]>(
      `SELECT user_id, concat_ws(' ', avatar_url, fields) AS text FROM hs_users
       WHERE user_id > ? ORDER BY user_id LIMIT ?`,
    ),
    /** The rooms' next pieces of current state; with content only where it names media. */
    states: all<StatePlace & { text: string | null }, [StatePlace & { limit: number }]>(
      `SELECT s.room, s.type, s.state_key, iif(e.content LIKE '%mxc://%', e.content, NULL) AS text
       FROM hs_room_state s CROSS JOIN hs_events e ON e.stream_id = s.stream_id
       WHERE (s.room, s.type, s.state_key) > ($room, $type, $state_key) ORDER BY s.room, s.type, s.state_key LIMIT $limit`,
    ),
  }
}
