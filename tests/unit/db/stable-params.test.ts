/** Placeholders whose values SQLite ignores when planning: same results, same indexes. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { and, eq, sql } from 'drizzle-orm'
import { messages, settings } from '../../../src/db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../../src/db/stable-params.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
beforeEach(() => {
  db = tempDb()
})
afterEach(() => db.destroy())

test('text, numbers and limits are what was bound', () => {
  const { orm } = db
  for (const name of ['a', 'b', 'c']) orm.insert(settings).values({ name, value: '7' }).run()
  const byName = orm
    .select()
    .from(settings)
    .where(eq(settings.name, textParam('name')))
    .prepare()
  expect(byName.all({ name: 'b' })).toEqual([{ name: 'b', value: '7' }])
  expect(byName.all({ name: "b' or 1" })).toEqual([])
  const some = orm
    .select({ name: settings.name })
    .from(settings)
    .where(sql`length(${settings.name}) < ${numberParam('below')}`)
    .orderBy(settings.name)
    .limit(limitParam('limit'))
    .prepare()
  expect(some.all({ below: 2, limit: 2 })).toEqual([{ name: 'a' }, { name: 'b' }])
  expect(some.all({ below: 1, limit: 2 })).toEqual([])
  expect(orm.select().from(settings).limit(ONE).all()).toHaveLength(1)
})

test('the index of what waits is found, partial as it is', () => {
  const waiting = db.orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(and(eq(messages.lane, textParam('lane')), sql`${messages.status} in ('queued', 'sending')`))
    .orderBy(messages.seq)
    .limit(limitParam('limit'))
    .toSQL()
  const plan = db.connection
    .query<{ detail: string }, [string, number]>(`EXPLAIN QUERY PLAN ${waiting.sql}`)
    .all('l', 1)
  expect(plan.map(step => step.detail)).toEqual([expect.stringContaining('INDEX messages_waiting (lane=?)')])
})
