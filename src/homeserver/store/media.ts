/** hs_media: what was uploaded. The content lies in files. */
import type { Database } from 'bun:sqlite'

export interface MediaRow {
  media_id: string
  user_id: string
  content_type: string | null
  filename: string | null
  size_bytes: number | null
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
  return {
    /** Notes a new file, or fills one that was reserved. */
    put(row: MediaRow, now: number): void {
      insert.run(row.media_id, row.user_id, row.content_type, row.filename, row.size_bytes, now)
    },
    find: (mediaId: string) => find.get(mediaId) ?? undefined,
  }
}
