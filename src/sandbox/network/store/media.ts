/** Table of files; a folder holds their content. */
import type { Database } from 'bun:sqlite'
import type { Media } from '../types.ts'

interface MediaRow {
  id: string
  name: string
  mime_type: string
  size: number
  width: number | null
  height: number | null
  blurhash: string | null
  duration_ms: number | null
  mxc: string | null
}

export type MediaStore = ReturnType<typeof createMediaStore>

export function createMediaStore(database: Database) {
  const sql = {
    addMedia: database.query(
      `INSERT OR IGNORE INTO sandbox_media (id, name, mime_type, size, width, height, blurhash, duration_ms, mxc, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    media: database.query<MediaRow, [string]>('SELECT * FROM sandbox_media WHERE id = ?'),
    mediaByMxc: database.query<MediaRow, [string]>('SELECT * FROM sandbox_media WHERE mxc = ?'),
    mediaOlder: database.query<{ id: string; created_at: number }, [number, number, string, number]>(
      `SELECT id, created_at FROM sandbox_media WHERE created_at < ? AND (created_at, id) > (?, ?)
       ORDER BY created_at, id LIMIT ?`,
    ),
    forgetMedia: database.query('DELETE FROM sandbox_media WHERE id = ?'),
    setMxc: database.query('UPDATE OR IGNORE sandbox_media SET mxc = ? WHERE id = ?'),
  }

  return {
    addMedia: (media: Media, now: number): void =>
      void sql.addMedia.run(
        media.id,
        media.name,
        media.mimeType,
        media.sizeBytes,
        media.width,
        media.height,
        media.blurhash,
        media.durationMs,
        media.mxc,
        now,
      ),
    media(mediaId: string): Media | null {
      const row = sql.media.get(mediaId)
      return row && toMedia(row)
    },
    mediaByMxc(mxc: string): Media | null {
      const row = sql.mediaByMxc.get(mxc)
      return row && toMedia(row)
    },
    /** @param after the row at which the last step ended */
    mediaOlderThan: (before: number, after: { created_at: number; id: string } | null, limit: number) =>
      sql.mediaOlder.all(before, after?.created_at ?? -1, after?.id ?? '', limit),
    forgetMedia: (mediaId: string): boolean => sql.forgetMedia.run(mediaId).changes > 0,
    setMxc: (mediaId: string, mxc: string): void => void sql.setMxc.run(mxc, mediaId),
  }
}

function toMedia(row: MediaRow): Media {
  return {
    id: row.id,
    name: row.name,
    mimeType: row.mime_type,
    sizeBytes: row.size,
    width: row.width,
    height: row.height,
    blurhash: row.blurhash,
    durationMs: row.duration_ms,
    mxc: row.mxc,
  }
}
