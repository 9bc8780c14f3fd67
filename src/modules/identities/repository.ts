/** SQL of the identities. */
import { and, asc, eq, exists, ne, not, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Db } from '../../db/open.ts'
import { devices, type Identity, identities, tokens, webhooks } from '../../db/schema/index.ts'

/** An identity whose Matrix account exists and whose row doesn't yet. */
export type NewIdentity = Pick<
  Identity,
  'id' | 'matrixUserId' | 'matrixDeviceId' | 'accessTokenSealed' | 'createdAt' | 'updatedAt'
>

export interface IdentityRepository {
  find(id: string): Promise<Identity | null>
  host(): Promise<Identity | null>
  list(): Promise<Identity[]>
  /** Those without a token that still have a webhook or a linked device, the host identity never. */
  unreachable(): Promise<string[]>
}

export function createIdentityRepository({ orm }: Db): IdentityRepository {
  const byId = orm
    .select()
    .from(identities)
    .where(eq(identities.id, sql.placeholder('id')))
    .prepare()
  const host = orm.select().from(identities).where(eq(identities.isHost, true)).limit(1).prepare()
  const all = orm.select().from(identities).orderBy(asc(identities.createdAt), asc(identities.id)).prepare()
  const has = (table: SQLiteTable, more: SQL | undefined) =>
    exists(orm.select({ one: sql`1` }).from(table).where(more))
  const abandoned = orm
    .select({ id: identities.id })
    .from(identities)
    .where(
      and(
        eq(identities.isHost, false),
        not(has(tokens, eq(tokens.identityId, identities.id))),
        or(
          has(webhooks, eq(webhooks.identityId, identities.id)),
          has(devices, and(eq(devices.identityId, identities.id), ne(devices.state, 'logged_out'))),
        ),
      ),
    )
    .prepare()
  return {
    find: async id => byId.get({ id }) ?? null,
    host: async () => host.get() ?? null,
    list: async () => all.all(),
    unreachable: async () => abandoned.all().map(identity => identity.id),
  }
}
