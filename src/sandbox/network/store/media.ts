/** Table of files; a folder holds their content. */
import type { Database } from 'bun:sqlite'
import { statementsOf } from '../../../lib/statements.ts'
import type { Media } from '../types.ts'

/** A row's place by age. */
export interface MediaAge {
  id: string
  created_at: number
}

const SELECT = `SELECT id, name, mime_type AS mimeType, size AS sizeBytes, width, height, blurhash,
  duration_ms AS durationMs, mxc FROM sandbox_media`

export type MediaStore = ReturnType<typeof createMediaStore>

export function createMediaStore(database: Database) {
  const { one, all, run } = statementsOf(database)
  const addMedia = run<(string | number | null)[]>(
    `INSERT OR IGNORE INTO sandbox_media (id, name, mime_type, size, width, height, blurhash, duration_ms, mxc, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const older = all<MediaAge, [number, number, string, number]>(
    `SELECT id, created_at FROM sandbox_media WHERE created_at < ? AND (created_at, id) > (?, ?)
     ORDER BY created_at, id LIMIT ?`,
  )
  const forget = run<[string]>('DELETE FROM sandbox_media WHERE id = ?')
  return {
    addMedia: (
      { id, name, mimeType, sizeBytes, width, height, blurhash, durationMs, mxc }: Media,
      now: number,
    ) => addMedia(id, name, mimeType, sizeBytes, width, height, blurhash, durationMs, mxc, now),
    media: one<Media, [mediaId: string]>(`${SELECT} WHERE id = ?`),
    mediaByMxc: one<Media, [mxc: string]>(`${SELECT} WHERE mxc = ?`),
    /** @param after the row at which the last step ended */
    mediaOlderThan: (before: number, after: MediaAge | null, limit: number) =>
      older(before, after?.created_at ?? -1, after?.id ?? '', limit),
    forgetMedia: (mediaId: string): boolean => forget(mediaId) > 0,
    setMxc: run<[mxc: string, mediaId: string]>('UPDATE OR IGNORE sandbox_media SET mxc = ? WHERE id = ?'),
  }
}
