/** SQL of the media table. */
import { and, eq, exists, inArray, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Media, media } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { usableTokenOf } from '../tenants/usable-token-repository.ts'

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

const byId = statement(orm =>
  orm
    .select()
    .from(media)
    .where(eq(media.id, sql.placeholder('id'))),
)
const served = statement(orm =>
  orm
    .select({ id: media.id })
    .from(media)
    .where(and(eq(media.id, textParam('id')), exists(usableTokenOf(orm, media.identityId)))),
)
const used = statement(orm =>
  orm
    .select({ bytes: sql<number>`coalesce(sum(${media.sizeBytes}), 0)` })
    .from(media)
    // Spelled out, as a partial index is found by its text.
    .where(sql`${media.identityId} = ${textParam('identityId')} and ${media.stored} = 1`),
)

export function createMediaRepository(db: Pick<Db, 'read' | 'write'>): MediaRepository {
  /** @returns those of the ids that have a row of that kind */
  async function having(reader: Reader, ids: readonly string[], kind?: SQL): Promise<string[]> {
    const rows = await reader.all(orm =>
      orm
        .select({ id: media.id })
        .from(media)
        .where(and(inArray(media.id, [...ids]), kind)),
    )
    return rows.map(({ id }) => id)
  }

  function update(id: string, change: Partial<Media>): Promise<void> {
    return db.write(tx => tx.run(orm => orm.update(media).set(change).where(eq(media.id, id))))
  }

  return {
    usage: (identityId, ids) =>
      db.read(async reader => ({
        bytes: (await reader.get(used, { identityId }))?.bytes ?? 0,
        stored: await having(reader, ids, eq(media.stored, true)),
      })),
    find: async id => (await db.read(reader => reader.get(byId, { id }))) ?? null,
    isServed: async (id, now) => (await db.read(reader => reader.get(served, { id, now }))) !== undefined,
    known: async ids => new Set(await db.read(reader => having(reader, ids))),
    setMxcUri: (id, mxcUri, now) => update(id, { mxcUri, updatedAt: now }),
    setStored: (id, found, now) => update(id, { ...found, stored: true, updatedAt: now }),
  }
}
