/**
 * SQL of the tokens. A token's id is a random number: counted ids would tell each client how many
 * tokens others make. It has 31 bits, so that it fits the integers of existing clients.
 */
import { randomInt } from 'node:crypto'
import { and, asc, desc, eq, exists, isNull, lte, not, or, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { anyWhere, equal } from '../../db/row-statements.ts'
import { credentials, idempotencyKeys, identities, type Token, tokens } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { type Orm, statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import { keysOfToken } from '../idempotency/holders.ts'
import type { NewIdentity } from './identity-repository.ts'

export type NewToken = Pick<Token, 'tokenHash' | 'credentialId' | 'expiresAt' | 'createdAt' | 'updatedAt'>
export type ListedToken = Token & { matrixUserId: string; matrixDeviceId: string }

/** Whose tokens: a credential's own, and those of no credential if asked for. */
export interface Ownership {
  clientId: string
  orphans: boolean
}

/**
 * Sort key of a list of tokens. Ids of identities are in the order of time (UUIDv7), also within a
 * millisecond.
 */
export type TokenPlace = readonly [createdAt: number, identityId: string, id: number]

export function placeOf({ createdAt, identityId, id }: Token): TokenPlace {
  return [createdAt, identityId, id]
}

const MAX_ID = 2 ** 31 - 1

/**
 * Earlier versions made a host of the first token's identity, even a plain user's, which nobody
 * else may share.
 */
const madeByUser = (orm: Orm) =>
  exists(
    orm
      .select({ one: sql`1` })
      .from(tokens)
      .innerJoin(credentials, eq(credentials.clientId, tokens.credentialId))
      .where(
        and(eq(tokens.identityId, identities.id), eq(tokens.isAdmin, true), eq(credentials.role, 'user')),
      ),
  )
const host = statement(orm =>
  orm
    .select({ id: identities.id })
    .from(identities)
    .where(and(eq(identities.isHost, true), not(madeByUser(orm))))
    .limit(1),
)
const byHash = statement(orm =>
  orm
    .select({
      id: tokens.id,
      isAdmin: tokens.isAdmin,
      expiresAt: tokens.expiresAt,
      identityId: tokens.identityId,
      matrixUserId: identities.matrixUserId,
      credentialActive: credentials.active,
    })
    .from(tokens)
    .innerJoin(identities, eq(identities.id, tokens.identityId))
    .leftJoin(credentials, eq(credentials.clientId, tokens.credentialId))
    .where(eq(tokens.tokenHash, textParam('tokenHash'))),
)
const listed = (direction: typeof asc, isBeyond: SQL) =>
  statement(orm =>
    orm
      .select({
        token: tokens,
        matrixUserId: identities.matrixUserId,
        matrixDeviceId: identities.matrixDeviceId,
      })
      .from(tokens)
      .innerJoin(identities, eq(identities.id, tokens.identityId))
      .where(
        sql`${tokens.credentialId} is ${textParam('owner')}
          and (${tokens.createdAt}, ${tokens.identityId}, ${tokens.id}) ${isBeyond}
            (${numberParam('createdAt')}, ${textParam('identityId')}, ${numberParam('id')})`,
      )
      .orderBy(direction(tokens.createdAt), direction(tokens.identityId), direction(tokens.id))
      .limit(limitParam('limit')),
  )
const later = listed(asc, sql.raw('>'))
const earlier = listed(desc, sql.raw('<'))
const withId = anyWhere(tokens, equal(tokens, 'id'))
const keyOfHolder = anyWhere(idempotencyKeys, equal(idempotencyKeys, 'holder'))
const setUsed = statement(orm =>
  orm
    .update(tokens)
    .set({ lastUsedAt: sql`${sql.placeholder('usedAt')}` })
    .where(equal(tokens, 'id')),
)

/** @param randomId from 1 on */
export function createTokenRepository(
  db: Pick<Db, 'read' | 'write'>,
  randomId: () => number = () => randomInt(1, MAX_ID),
) {
  /** Neither a token's nor one of a deleted token whose answers are still kept for its holder. */
  async function newId(tx: Tx): Promise<number> {
    for (;;) {
      const id = randomId()
      const isTaken =
        (await tx.get(withId, { id })) ?? (await tx.get(keyOfHolder, { holder: keysOfToken(id) }))
      if (!isTaken) return id
    }
  }

  /** @returns its id */
  async function insert(tx: Tx, token: NewToken, identityId: string, isAdmin: boolean): Promise<number> {
    const row = { ...token, id: await newId(tx), identityId, isAdmin }
    await tx.run(orm => orm.insert(tokens).values(row))
    return row.id
  }

  return {
    /**
     * Writes an identity and its first token.
     * @param mayHost where there is no host identity yet, this one becomes it, and its token the
     * admin's
     * @param onStored writes with the same transaction
     * @returns the token's id
     */
    insertWithIdentity: (
      token: NewToken,
      identity: NewIdentity,
      mayHost: boolean,
      onStored: (tx: Tx) => Promise<void>,
    ) =>
      db.write(async tx => {
        const isHost = mayHost && (await tx.get(host)) === undefined
        if (isHost) {
          await tx.run(orm =>
            orm.update(identities).set({ isHost: false }).where(eq(identities.isHost, true)),
          )
          await tx.run(orm => orm.update(tokens).set({ isAdmin: false }).where(eq(tokens.isAdmin, true)))
        }
        await tx.run(orm => orm.insert(identities).values({ ...identity, isHost }))
        const id = await insert(tx, token, identity.id, isHost)
        tx.emit('identity-created')
        await onStored(tx)
        return id
      }),

    /**
     * @param onStored writes with the same transaction
     * @returns the token's id; null when there is no host identity
     */
    insertForHost: (token: NewToken, onStored: (tx: Tx) => Promise<void>) =>
      db.write(async tx => {
        const identity = await tx.get(host)
        if (!identity) return null
        const id = await insert(tx, token, identity.id, false)
        await onStored(tx)
        return id
      }),

    /**
     * The next tokens in the order of their making.
     * @param beyond where a page before ended; null begins
     */
    async page(
      { clientId, orphans }: Ownership,
      order: 'oldest first' | 'newest first',
      beyond: TokenPlace | null,
      limit: number,
    ): Promise<ListedToken[]> {
      const isOldestFirst = order === 'oldest first'
      const [createdAt, identityId, id] = beyond ?? [isOldestFirst ? -1 : Number.MAX_SAFE_INTEGER, '', 0]
      const next = isOldestFirst ? later : earlier
      const found = await db.read(async reader => {
        const from = { createdAt, identityId, id, limit }
        const own = await reader.all(next, { ...from, owner: clientId })
        return orphans ? [...own, ...(await reader.all(next, { ...from, owner: null }))] : own
      })
      return found
        .map(({ token, ...identity }) => ({ ...token, ...identity }))
        .sort((one, other) => (isOldestFirst ? comparePlaces(one, other) : comparePlaces(other, one)))
        .slice(0, limit)
    },

    /** @returns false when there is none to delete */
    async remove(ownership: Ownership, id: number): Promise<boolean> {
      const which = and(eq(tokens.id, id), owned(ownership))
      return (await db.write(tx => removeWhere(tx, which))) === 1
    },

    /** `credentialActive` is null for a token of no credential. */
    findByHash: async (tokenHash: string) =>
      (await db.read(reader => reader.get(byHash, { tokenHash }))) ?? null,

    setHash: (id: number, tokenHash: string) =>
      db.write(tx => tx.run(orm => orm.update(tokens).set({ tokenHash }).where(eq(tokens.id, id)))),

    /** @param used when each token was used last */
    recordUse: (used: readonly (readonly [id: number, usedAt: number])[]) =>
      db.write(async tx => {
        for (const [id, usedAt] of used) await tx.run(setUsed, { id, usedAt })
      }),

    /**
     * Ends a plain user's identity as the host: once its token is gone nobody would know whose it
     * was.
     */
    endUsersHost: () =>
      db.write(tx =>
        tx.run(orm =>
          orm
            .update(identities)
            .set({ isHost: false })
            .where(and(eq(identities.isHost, true), madeByUser(orm))),
        ),
      ),

    /** @returns how many were deleted */
    removeExpired: (now: number) => db.write(tx => removeWhere(tx, lte(tokens.expiresAt, now))),
  }
}

/** @returns how many were deleted */
async function removeWhere(tx: Tx, which: SQL | undefined): Promise<number> {
  const removed = await tx.all(orm => orm.delete(tokens).where(which).returning({ id: tokens.id }))
  if (removed.length > 0) tx.emit('token-removed')
  return removed.length
}

function comparePlaces(one: Token, other: Token): number {
  const byTime = one.createdAt - other.createdAt
  if (byTime !== 0 || one.identityId === other.identityId) return byTime || one.id - other.id
  return one.identityId < other.identityId ? -1 : 1
}

function owned({ clientId, orphans }: Ownership): SQL | undefined {
  const own = eq(tokens.credentialId, clientId)
  return orphans ? or(own, isNull(tokens.credentialId)) : own
}
