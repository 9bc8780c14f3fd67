/**
 * SQL of the event feed: an identity's events in the order of their `seq`. All writes go through
 * one committer, so this is the order of commits: whoever has read up to an event has missed none.
 */
import { and, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type EventRow, events, identities } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { NAMED_ONLY_EVENT_NAMES } from '../../domain/states.ts'
import { passedOn } from './event-repository.ts'
import type { StoredEventRow } from './events.ts'

type Found = Pick<EventRow, 'seq' | 'name'>

/** An event of the feed. */
export interface FeedRow extends Found, StoredEventRow {}

export interface FoundEvents {
  events: Found[]
  /** No other wanted event lies up to here. */
  upTo: number
  /** True when there may be more behind it. */
  more: boolean
}

/**
 * Events that a reader asks for: those of these names, all that are stored, with those of the
 * moment or without, or all but those one has to name.
 */
export type Wanted = ReadonlySet<string> | 'all' | 'all and live' | 'default'

/** `goneSeq` is the newest removed event, `readAt` when a read was last noted, 0 for never. */
export type FeedBounds = { goneSeq: number; newestSeq: number; readAt: number }

const NAMED_ONLY: readonly string[] = NAMED_ONLY_EVENT_NAMES
const param = sql.placeholder
const bounds = statement(orm =>
  orm
    .select({
      goneSeq: identities.feedGoneSeq,
      readAt: sql<number>`coalesce(${identities.feedReadAt}, 0)`,
      newestSeq: sql<number>`coalesce((select max(seq) from events where identity_id = identities.id), 0)`,
    })
    .from(identities)
    .where(eq(identities.id, param('identityId'))),
)
const next = (condition?: SQL) =>
  statement(orm =>
    orm
      .select({ seq: events.seq, name: events.name })
      .from(events)
      .where(
        and(
          eq(events.identityId, textParam('identityId')),
          condition,
          sql`${events.seq} > ${numberParam('afterSeq')}`,
        ),
      )
      .orderBy(events.seq)
      .limit(limitParam('limit')),
  )
const nextOfAll = next()
// One name at a time, each by its index: wanted events may be few among very many.
const nextOfName = next(eq(events.name, textParam('name')))
const bySeqs = statement(orm =>
  orm
    .select({ seq: events.seq, ...passedOn })
    .from(events)
    .where(sql`${events.seq} in (select value from json_each(${param('seqs')}))`),
)
const newer = statement(orm =>
  orm
    .select({ seq: events.seq, identityId: events.identityId })
    .from(events)
    .where(gt(events.seq, numberParam('afterSeq')))
    .orderBy(events.seq)
    .limit(limitParam('limit')),
)
const newest = statement(orm => orm.select({ seq: sql<number | null>`max(${events.seq})` }).from(events))

export type FeedRepository = ReturnType<typeof createFeedRepository>

export function createFeedRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    async bounds(identityId: string): Promise<FeedBounds> {
      const found = await db.read(reader => reader.get(bounds, { identityId }))
      return found ?? { goneSeq: 0, newestSeq: 0, readAt: 0 }
    },

    /** The next events after `afterSeq`, oldest first, at most `limit`, perhaps fewer. */
    names: (identityId: string, afterSeq: number, wanted: Wanted, limit: number): Promise<FoundEvents> =>
      db.read(async reader => {
        const found = await namesOf(reader, { identityId, afterSeq, limit }, wanted)
        const events = wanted === 'default' ? found.filter(({ name }) => !NAMED_ONLY.includes(name)) : found
        const last = found.at(-1)?.seq ?? afterSeq
        if (found.length === limit) return { events, upTo: last, more: true }
        // In the same read, so no event comes between.
        const newestSeq = (await reader.get(bounds, { identityId }))?.newestSeq ?? 0
        return { events, upTo: Math.max(last, newestSeq), more: false }
      }),

    /** @returns the events by seq, without those that were removed */
    async events(seqs: readonly number[]): Promise<Map<number, FeedRow>> {
      const rows = await db.read(reader => reader.all(bySeqs, { seqs: JSON.stringify(seqs) }))
      return new Map(rows.map(row => [row.seq, row]))
    },

    /** A bounded number of events of any identity after `afterSeq`, in their order. */
    arrivals: (afterSeq: number, limit: number) => db.read(reader => reader.all(newer, { afterSeq, limit })),

    /** The newest event of all, 0 when there is none. */
    newestOfAll: async () => (await db.read(reader => reader.get(newest)))?.seq ?? 0,

    /** Notes a read, so that retention keeps events for the feed (`FEED_REMEMBERED_MS`). */
    noteRead: (identityId: string, now: number) =>
      db.write(tx =>
        tx.run(orm => orm.update(identities).set({ feedReadAt: now }).where(eq(identities.id, identityId))),
      ),
  }
}

async function namesOf(
  reader: Reader,
  of: { identityId: string; afterSeq: number; limit: number },
  wanted: Wanted,
): Promise<FoundEvents['events']> {
  if (typeof wanted === 'string') return reader.all(nextOfAll, of)
  const found: FoundEvents['events'] = []
  for (const name of wanted) found.push(...(await reader.all(nextOfName, { ...of, name })))
  return found.sort((one, other) => one.seq - other.seq).slice(0, of.limit)
}
