/**
 * SQL of the event feed: an identity's events in the order of their `seq`. That is the order in which they were committed, as all writes go
 * through one committer: whoever has read up to an event has missed none before it.
 */
import { and, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type InboxEvent, identities, inboxEvents } from '../../db/schema/index.ts'
import { limitParam, numberParam, textParam } from '../../db/stable-params.ts'

export interface FoundEvents {
  events: Pick<InboxEvent, 'seq' | 'name'>[]
  /** Nothing else that is wanted lies up to here. */
  upTo: number
  /** True when there may be more behind it. */
  more: boolean
}

export interface FeedRepository {
  /** What stands at the beginning of the feed, how far it goes, and when it was last noted that it is read (0: never). */
  bounds(identityId: string): Promise<{ goneSeq: number; newestSeq: number; readAt: number }>
  /**
   * The next events after `afterSeq`, oldest first.
   * @param wanted names of the events to find; null finds all
   */
  names(
    identityId: string,
    afterSeq: number,
    wanted: ReadonlySet<string> | null,
    limit: number,
  ): Promise<FoundEvents>
  event(seq: number): Promise<InboxEvent | null>
  /** Whose events came after `afterSeq`, a bounded number of them, in their order. */
  arrivals(afterSeq: number, limit: number): Promise<Pick<InboxEvent, 'seq' | 'identityId'>[]>
  /** The newest event of all, 0 when there is none. */
  newestOfAll(): Promise<number>
  /** Notes that the feed is read, so that what nobody else asks for is kept for it (`FEED_REMEMBERED_MS`). */
  noteRead(identityId: string, now: number): Promise<void>
}

export function createFeedRepository(db: Db): FeedRepository {
  const { orm, committer } = db
  const param = sql.placeholder
  const bounds = orm
    .select({
      goneSeq: identities.feedGoneSeq,
      readAt: sql<number>`coalesce(${identities.feedReadAt}, 0)`,
      newestSeq: sql<number>`coalesce((select max(seq) from inbox_events where identity_id = identities.id), 0)`,
    })
    .from(identities)
    .where(eq(identities.id, param('identityId')))
    .prepare()
  const next = (condition?: SQL) =>
    orm
      .select({ seq: inboxEvents.seq, name: inboxEvents.name })
      .from(inboxEvents)
      .where(
        and(
          eq(inboxEvents.identityId, textParam('identityId')),
          condition,
          sql`${inboxEvents.seq} > ${numberParam('afterSeq')}`,
        ),
      )
      .orderBy(inboxEvents.seq)
      .limit(limitParam('limit'))
      .prepare()
  const nextOfAll = next()
  // A name at a time, each by its index: those that are wanted may be few among very many.
  const nextOfName = next(eq(inboxEvents.name, textParam('name')))
  const event = orm
    .select()
    .from(inboxEvents)
    .where(eq(inboxEvents.seq, param('seq')))
    .prepare()
  const arrivals = orm
    .select({ seq: inboxEvents.seq, identityId: inboxEvents.identityId })
    .from(inboxEvents)
    .where(gt(inboxEvents.seq, numberParam('afterSeq')))
    .orderBy(inboxEvents.seq)
    .limit(limitParam('limit'))
    .prepare()
  const newest = orm
    .select({ seq: sql<number | null>`max(${inboxEvents.seq})` })
    .from(inboxEvents)
    .prepare()

  return {
    bounds: async identityId => bounds.get({ identityId }) ?? { goneSeq: 0, newestSeq: 0, readAt: 0 },
    async names(identityId, afterSeq, wanted, limit) {
      const of = { identityId, afterSeq, limit }
      const events =
        wanted === null
          ? nextOfAll.all(of)
          : [...wanted]
              .flatMap(name => nextOfName.all({ ...of, name }))
              .sort((one, other) => one.seq - other.seq)
              .slice(0, limit)
      const last = events.at(-1)?.seq ?? afterSeq
      if (events.length === limit) return { events, upTo: last, more: true }
      // No turn of the event loop lies between these reads, so nothing has come meanwhile.
      const newestSeq = bounds.get({ identityId })?.newestSeq ?? 0
      return { events, upTo: Math.max(last, newestSeq), more: false }
    },
    event: async seq => event.get({ seq }) ?? null,
    arrivals: async (afterSeq, limit) => arrivals.all({ afterSeq, limit }),
    newestOfAll: async () => newest.get()?.seq ?? 0,
    noteRead: (identityId, now) =>
      committer.write(() => {
        orm.update(identities).set({ feedReadAt: now }).where(eq(identities.id, identityId)).run()
      }),
  }
}
