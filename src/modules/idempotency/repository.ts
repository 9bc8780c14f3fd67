/** SQL of the idempotency keys. */
import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { idempotencyKeys } from '../../db/schema/index.ts'
import { limitParam, numberParam } from '../../db/stable-params.ts'
import type { KeyedRequest } from './types.ts'

export type KeyRow = typeof idempotencyKeys.$inferSelect

export interface IdempotencyRepository {
  /** @param since older ones count no more */
  find(holder: string, key: string, since: number): Promise<KeyRow | null>
  /** How many keys a holder has, those included that count no more and aren't forgotten yet. */
  count(holder: string): Promise<number>
  /** Notes that a request was begun, in place of whatever the key stood for. */
  begin(request: KeyedRequest, now: number): Promise<void>
  /** Keeps the answer. To be called inside a transaction. */
  record(request: KeyedRequest, answerSealed: string, now: number): void
  /** The same in a transaction of its own. */
  keep(request: KeyedRequest, answerSealed: string, now: number): Promise<void>
  /** The request was begun for nothing. What has an answer stays. */
  release(request: KeyedRequest): Promise<void>
  /** Forgets at most `limit` of those from before `before`, oldest first. @returns how many */
  forget(before: number, limit: number): Promise<number>
}

export function createIdempotencyRepository({ orm, committer }: Db): IdempotencyRepository {
  const param = sql.placeholder
  const ofKey = and(eq(idempotencyKeys.holder, param('holder')), eq(idempotencyKeys.key, param('key')))
  const one = orm.select().from(idempotencyKeys).where(ofKey).prepare()
  const put = orm
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
    })
    .prepare()
  const oldest = orm
    .select({ holder: idempotencyKeys.holder, key: idempotencyKeys.key })
    .from(idempotencyKeys)
    .where(sql`${idempotencyKeys.createdAt} < ${numberParam('before')}`)
    .orderBy(idempotencyKeys.createdAt)
    .limit(limitParam('limit'))
    .prepare()
  const remove = orm.delete(idempotencyKeys).where(ofKey).prepare()

  const record: IdempotencyRepository['record'] = (request, answerSealed, now) => {
    put.run({ ...request, answerSealed, now })
  }

  return {
    async find(holder, key, since) {
      const row = one.get({ holder, key })
      return row && row.createdAt > since ? row : null
    },
    count: async holder => orm.$count(idempotencyKeys, eq(idempotencyKeys.holder, holder)),
    begin: (request, now) =>
      committer.write(() => {
        put.run({ ...request, answerSealed: null, now })
      }),
    record,
    keep: (request, answerSealed, now) => committer.write(() => record(request, answerSealed, now)),
    release: ({ holder, key }) =>
      committer.write(() => {
        const own = and(eq(idempotencyKeys.holder, holder), eq(idempotencyKeys.key, key))
        orm
          .delete(idempotencyKeys)
          .where(and(own, isNull(idempotencyKeys.answerSealed)))
          .run()
      }),
    forget: (before, limit) =>
      committer.write(() => {
        const rows = oldest.all({ before, limit })
        for (const row of rows) remove.run(row)
        return rows.length
      }),
  }
}
