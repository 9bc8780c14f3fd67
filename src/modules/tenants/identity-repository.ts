/** SQL of the identities. */
import { and, asc, eq, exists, isNull, not, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import { devices, type Identity, identities, tokens, webhooks } from '../../db/schema/index.ts'
import { type Orm, statement } from '../../db/statement.ts'

/** An identity whose Matrix account exists and whose row doesn't yet. */
export type NewIdentity = Pick<
  Identity,
  'id' | 'matrixUserId' | 'matrixDeviceId' | 'accessTokenSealed' | 'createdAt' | 'updatedAt'
>

const byId = rowsBy(identities, 'id')
const byUser = rowsBy(identities, 'matrixUserId')
const host = statement(orm => orm.select().from(identities).where(eq(identities.isHost, true)).limit(1))
const all = statement(orm =>
  orm.select().from(identities).orderBy(asc(identities.createdAt), asc(identities.id)),
)
const has = (orm: Orm, table: SQLiteTable, more: SQL | undefined) =>
  exists(orm.select({ one: sql`1` }).from(table).where(more))
const hasToken = (orm: Orm) => has(orm, tokens, eq(tokens.identityId, identities.id))
const hasSomething = (orm: Orm) =>
  or(
    has(orm, webhooks, eq(webhooks.identityId, identities.id)),
    has(orm, devices, and(eq(devices.identityId, identities.id), isNull(devices.removedAt))),
  )
const abandoned = statement(orm =>
  orm
    .select({ id: identities.id })
    .from(identities)
    .where(and(eq(identities.isHost, false), not(hasToken(orm)), hasSomething(orm))),
)
const inUse = statement(orm =>
  orm
    .select({ userId: identities.matrixUserId, since: identities.syncToken })
    .from(identities)
    .where(or(eq(identities.isHost, true), hasToken(orm), hasSomething(orm)))
    .orderBy(asc(identities.createdAt)),
)

export type IdentityRepository = ReturnType<typeof createIdentityRepository>

export function createIdentityRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    find: async (id: string): Promise<Identity | null> =>
      (await db.read(reader => reader.get(byId, { id }))) ?? null,

    /** The identity of a Matrix user, null when it is none of ours. */
    findByUser: async (matrixUserId: string): Promise<Identity | null> =>
      (await db.read(reader => reader.get(byUser, { matrixUserId }))) ?? null,

    /** The admin's identity; null before the first token. */
    host: async (): Promise<Identity | null> => (await db.read(reader => reader.get(host))) ?? null,

    /** All of them, oldest first. */
    list: () => db.read(reader => reader.all(all)),

    /** Those without a token that still have a webhook or a device, the host identity never. */
    unreachable: async () => (await db.read(reader => reader.all(abandoned))).map(({ id }) => id),

    /** Those that somebody can reach or that have something, with the place of their /sync. */
    syncPositions: () => db.read(reader => reader.all(inUse)),

    setAccessToken(id: string, accessTokenSealed: string, matrixDeviceId: string, updatedAt: number) {
      const change = { accessTokenSealed, matrixDeviceId, updatedAt }
      return db.write(tx => tx.run(orm => orm.update(identities).set(change).where(eq(identities.id, id))))
    },
  }
}
