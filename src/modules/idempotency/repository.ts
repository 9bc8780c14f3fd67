/** SQL of the idempotency keys. */
import { and, count, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { idempotencyKeys } from '../../db/schema/index.ts'
import { limitParam, numberParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { KeyedRequest } from './types.ts'

export type KeyRow = typeof idempotencyKeys.$inferSelect

export interface IdempotencyRepository {
  /** @param since older ones count no more */
  find(holder: string, key: string, since: number): Promise<KeyRow | null>
  /** How many keys a holder has, those included that count no more and aren't forgotten yet. */
  count(holder: string): Promise<number>
  /** Notes that a request was begun, in place of whatever the key stood for. */
  begin(request: KeyedRequest, now: number): Promise<void>
  /** Keeps the answer. */
  record(tx: Tx, request: KeyedRequest, answerSealed: string, now: number): Promise<void>
  /** The same in a transaction of its own. */
  keep(request: KeyedRequest, answerSealed: string, now: number): Promise<void>
  /** The request was begun for nothing. What has an answer stays. */
  release(request: KeyedRequest): Promise<void>
  /** Forgets at most `limit` of those from before `before`, oldest first. @returns how many */
  forget(before: number, limit: number): Promise<number>
}

const param = sql.placeholder
const ofKey = and(eq(idempotencyKeys.holder, param('holder')), eq(idempotencyKeys.key, param('key')))
const one = statement(orm => orm.select().from(idempotencyKeys).where(ofKey))
const countOfHolder = statement(orm =>
  orm
    .select({ keys: count() })
    .from(idempotencyKeys)
    .where(eq(idempotencyKeys.holder, param('holder'))),
)
const put = statement(orm =>
  orm
    .insert(idempotencyKeys)
    .values({
      holder: param('holder'),
      key: param('key'),
      fingerprint: param('fingerprint'),
      answerSealed: param('answerSealed'),
      createdAt: param('now'),
    })
    .onConflictDoUpdate({
      target: [idempotencyKeys.holder, idempotencyKeys.key],
      set: {
        fingerprint: sql`excluded.fingerprint`,
        answerSealed: sql`excluded.answer_sealed`,
        createdAt: sql`excluded.created_at`,
      },
    }),
)
const oldest = statement(orm =>
  orm
    .select({ holder: idempotencyKeys.holder, key: idempotencyKeys.key })
    .from(idempotencyKeys)
    .where(sql`${idempotencyKeys.createdAt} < ${numberParam('before')}`)
    .orderBy(idempotencyKeys.createdAt)
    .limit(limitParam('limit')),
)
const remove = statement(orm => orm.delete(idempotencyKeys).where(ofKey))
const removeUnanswered = statement(orm =>
  orm.delete(idempotencyKeys).where(and(ofKey, isNull(idempotencyKeys.answerSealed))),
)

export function createIdempotencyRepository(db: Pick<Db, 'read' | 'write'>): IdempotencyRepository {
  const record: IdempotencyRepository['record'] = (tx, request, answerSealed, now) =>
    tx.run(put, { ...request, answerSealed, now })

  return {
    record,

    async find(holder, key, since) {
      const row = await db.read(reader => reader.get(one, { holder, key }))
      return row && row.createdAt > since ? row : null
    },

    async count(holder) {
      return (await db.read(reader => reader.get(countOfHolder, { holder })))?.keys ?? 0
    },

    begin: (request, now) => db.write(tx => tx.run(put, { ...request, answerSealed: null, now })),

    keep: (request, answerSealed, now) => db.write(tx => record(tx, request, answerSealed, now)),

    release: ({ holder, key }) => db.write(tx => tx.run(removeUnanswered, { holder, key })),

    forget: (before, limit) =>
      db.write(async tx => {
        const rows = await tx.all(oldest, { before, limit })
        for (const row of rows) await tx.run(remove, row)
        return rows.length
      }),
  }
}
