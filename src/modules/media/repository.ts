/** SQL of the media table. */
import { and, eq, exists, inArray, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import { identities, type Media, media } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader, Tx } from '../../db/transaction.ts'
import { usableTokenOf } from '../tenants/usable-token-repository.ts'

const byId = rowsBy(media, 'id')
const served = statement(orm =>
  orm
    .select({ id: media.id })
    .from(media)
    .where(and(eq(media.id, textParam('id')), exists(usableTokenOf(orm, media.identityId)))),
)
const servedIdentity = statement(orm =>
  orm
    .select({ id: identities.id })
    .from(identities)
    .where(and(eq(identities.id, textParam('id')), exists(usableTokenOf(orm, identities.id)))),
)
const used = statement(orm =>
  orm
    .select({ bytes: sql<number>`coalesce(sum(${media.sizeBytes}), 0)` })
    .from(media)
    // Spelled out, as a partial index is found by its text.
    .where(sql`${media.identityId} = ${textParam('identityId')} and ${media.stored} = 1`),
)

/** Stores the row of a file that is to be sent, with what refers to it. */
export async function storeFile(
  tx: Tx,
  file: Omit<Media, 'createdAt' | 'updatedAt' | 'sourceUrl'> & { sourceUrl?: string },
  now: number,
): Promise<void> {
  await tx.run(orm => orm.insert(media).values({ ...file, createdAt: now, updatedAt: now }))
  if (file.sourceUrl !== undefined) tx.emit('file-awaited')
}

export type MediaRepository = ReturnType<typeof createMediaRepository>

export function createMediaRepository(db: Pick<Db, 'read' | 'write'>) {
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
    /** @returns bytes of the identity's files on our disk, and those of the ids among them */
    usage: (identityId: string, ids: readonly string[]) =>
      db.read(async reader => ({
        bytes: (await reader.get(used, { identityId }))?.bytes ?? 0,
        stored: await having(reader, ids, eq(media.stored, true)),
      })),

    find: async (id: string): Promise<Media | null> =>
      (await db.read(reader => reader.get(byId, { id }))) ?? null,

    /** @returns true when somebody may still act as the identity whose file it is */
    isServed: async (id: string, now: number) =>
      (await db.read(reader => reader.get(served, { id, now }))) !== undefined,

    /** @returns true when somebody may still act as the identity */
    isIdentityServed: async (id: string, now: number) =>
      (await db.read(reader => reader.get(servedIdentity, { id, now }))) !== undefined,

    /** @returns those of the ids that have a row */
    known: async (ids: readonly string[]) => new Set(await db.read(reader => having(reader, ids))),

    /** Remembers where the file lies at the homeserver. */
    setMxcUri: (id: string, mxcUri: string, now: number) => update(id, { mxcUri, updatedAt: now }),

    /** Notes that an incoming file is on disk, and the facts found in it. */
    setStored: (id: string, found: Partial<Media>, now: number) =>
      update(id, { ...found, stored: true, updatedAt: now }),
  }
}
