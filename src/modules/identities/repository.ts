/** SQL of the identities. */
import { and, asc, eq, exists, isNull, not, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { devices, type Identity, identities, tokens, webhooks } from '../../db/schema/index.ts'
import type { SyncPosition } from '../../domain/ports.ts'

/** An identity whose Matrix account exists and whose row doesn't yet. */
export type NewIdentity = Pick<
  Identity,
  'id' | 'matrixUserId' | 'matrixDeviceId' | 'accessTokenSealed' | 'createdAt' | 'updatedAt'
>

export interface IdentityRepository {
  find(id: string): Promise<Identity | null>
  findByUser(matrixUserId: string): Promise<Identity | null>
  host(): Promise<Identity | null>
  list(): Promise<Identity[]>
  /** Those without a token that still have a webhook or a device, the host identity never. */
  unreachable(): Promise<string[]>
  /** Those that somebody can reach or that still have something, with the place of their /sync. */
  syncPositions(): Promise<SyncPosition[]>
  setAccessToken(id: string, accessTokenSealed: string, matrixDeviceId: string, now: number): Promise<void>
}

export function createIdentityRepository({ orm, committer }: Db): IdentityRepository {
  const byId = orm
    .select()
    .from(identities)
    .where(eq(identities.id, sql.placeholder('id')))
    .prepare()
  const host = orm.select().from(identities).where(eq(identities.isHost, true)).limit(1).prepare()
  const all = orm.select().from(identities).orderBy(asc(identities.createdAt), asc(identities.id)).prepare()
  const has = (table: SQLiteTable, more: SQL | undefined) =>
    exists(orm.select({ one: sql`1` }).from(table).where(more))
  const hasToken = has(tokens, eq(tokens.identityId, identities.id))
  const hasSomething = or(
    has(webhooks, eq(webhooks.identityId, identities.id)),
    has(devices, and(eq(devices.identityId, identities.id), isNull(devices.removedAt))),
  )
  const abandoned = orm
    .select({ id: identities.id })
    .from(identities)
    .where(and(eq(identities.isHost, false), not(hasToken), hasSomething))
    .prepare()
  const inUse = orm
    .select({ userId: identities.matrixUserId, since: identities.syncToken })
    .from(identities)
    .where(or(eq(identities.isHost, true), hasToken, hasSomething))
    .orderBy(asc(identities.createdAt))
    .prepare()
  const byUser = orm
    .select()
    .from(identities)
    .where(eq(identities.matrixUserId, sql.placeholder('matrixUserId')))
    .prepare()
  return {
    find: async id => byId.get({ id }) ?? null,
    host: async () => host.get() ?? null,
    list: async () => all.all(),
    unreachable: async () => abandoned.all().map(identity => identity.id),
    findByUser: async matrixUserId => byUser.get({ matrixUserId }) ?? null,
    syncPositions: async () => inUse.all(),
    setAccessToken: (id, accessTokenSealed, matrixDeviceId, now) =>
      committer.write(() => {
        orm
          .update(identities)
          .set({ accessTokenSealed, matrixDeviceId, updatedAt: now })
          .where(eq(identities.id, id))
          .run()
      }),
  }
}
