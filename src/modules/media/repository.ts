/** SQL of the media table. */
import { and, eq, exists, inArray, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Media, media } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { usableTokenOf } from '../tokens/usable-token-repository.ts'

/** What is known of a file for certain only when it is on our disk. */
export type StoredFacts = Pick<Media, 'sizeBytes' | 'width' | 'height' | 'blurHash'>

export interface MediaRepository {
  find(id: string): Promise<Media | null>
  /** True when somebody may still act as the identity whose file it is. */
  isServed(id: string, now: number): Promise<boolean>
  /** @returns those of the ids that have a row */
  known(ids: readonly string[]): Promise<Set<string>>
  /** Bytes of the identity's files on our disk. */
  usage(identityId: string, ids: readonly string[]): Promise<{ bytes: number; stored: string[] }>
  /** Remembers where the file lies at the homeserver. */
  setMxcUri(id: string, mxcUri: string, now: number): Promise<void>
  /** Notes that an incoming file is on disk now, and what that has told about it. */
  setStored(id: string, found: StoredFacts, now: number): Promise<void>
}

export function createMediaRepository(db: Db): MediaRepository {
  const byId = db.orm
    .select()
    .from(media)
    .where(eq(media.id, sql.placeholder('id')))
    .prepare()
  const served = db.orm
    .select({ id: media.id })
    .from(media)
    .where(and(eq(media.id, textParam('id')), exists(usableTokenOf(db, media.identityId))))
    .prepare()
  const used = db.orm
    .select({ bytes: sql<number>`coalesce(sum(${media.sizeBytes}), 0)` })
    .from(media)
    // Spelled out, as a partial index is found by its text.
    .where(sql`${media.identityId} = ${textParam('identityId')} and ${media.stored} = 1`)
    .prepare()
  return {
    usage: async (identityId, ids) => ({
      bytes: used.get({ identityId })?.bytes ?? 0,
      stored: db.orm
        .select({ id: media.id })
        .from(media)
        .where(and(inArray(media.id, [...ids]), eq(media.stored, true)))
        .all()
        .map(({ id }) => id),
    }),
    find: async id => byId.get({ id }) ?? null,
    isServed: async (id, now) => served.get({ id, now }) !== undefined,
    known: async ids => {
      const rows = db.orm
        .select({ id: media.id })
        .from(media)
        .where(inArray(media.id, [...ids]))
        .all()
      return new Set(rows.map(({ id }) => id))
    },
    setMxcUri: (id, mxcUri, now) =>
      db.committer.write(() => {
        db.orm.update(media).set({ mxcUri, updatedAt: now }).where(eq(media.id, id)).run()
      }),
    setStored: (id, found, now) =>
      db.committer.write(() => {
        const change = { ...found, stored: true, updatedAt: now }
        db.orm.update(media).set(change).where(eq(media.id, id)).run()
      }),
  }
}
