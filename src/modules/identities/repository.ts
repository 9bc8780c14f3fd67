/** SQL of the identities. */
import { asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Identity, identities } from '../../db/schema/index.ts'

/** An identity whose Matrix account exists and whose row doesn't yet. */
export type NewIdentity = Pick<
  Identity,
  'id' | 'matrixUserId' | 'matrixDeviceId' | 'accessTokenSealed' | 'createdAt' | 'updatedAt'
>

export interface IdentityRepository {
  find(id: string): Promise<Identity | null>
  host(): Promise<Identity | null>
  list(): Promise<Identity[]>
}

export function createIdentityRepository({ orm }: Db): IdentityRepository {
  const byId = orm
    .select()
    .from(identities)
    .where(eq(identities.id, sql.placeholder('id')))
    .prepare()
  const host = orm.select().from(identities).where(eq(identities.isHost, true)).limit(1).prepare()
  const all = orm.select().from(identities).orderBy(asc(identities.createdAt), asc(identities.id)).prepare()
  return {
    find: async id => byId.get({ id }) ?? null,
    host: async () => host.get() ?? null,
    list: async () => all.all(),
  }
}
