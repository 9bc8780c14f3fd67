/** SQL of the media table. */
import { eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Media, media } from '../../db/schema/index.ts'

export interface MediaRepository {
  find(id: string): Promise<Media | null>
  /** Remembers where the file lies at the homeserver. */
  setMxcUri(id: string, mxcUri: string, now: number): Promise<void>
  /** Notes that an incoming file is on disk now. */
  setStored(id: string, sizeBytes: number, now: number): Promise<void>
}

export function createMediaRepository(db: Db): MediaRepository {
  const byId = db.orm
    .select()
    .from(media)
    .where(eq(media.id, sql.placeholder('id')))
    .prepare()
  return {
    find: async id => byId.get({ id }) ?? null,
    setMxcUri: (id, mxcUri, now) =>
      db.committer.write(() => {
        db.orm.update(media).set({ mxcUri, updatedAt: now }).where(eq(media.id, id)).run()
      }),
    setStored: (id, sizeBytes, now) =>
      db.committer.write(() => {
        db.orm.update(media).set({ stored: true, sizeBytes, updatedAt: now }).where(eq(media.id, id)).run()
      }),
  }
}
