/**
 * SQL of replays: past events become deliveries again, a bounded batch at a time. Each batch writes
 * its progress, so that a replay goes on after a restart where it was.
 */
import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { rowsBy } from '../../db/row-statements.ts'
import { deliveries, events, type Replay, replays, type Webhook, webhooks } from '../../db/schema/index.ts'
import { type Orm, statement } from '../../db/statement.ts'
import { eventsAskedFor, writeDelivery } from '../events/event-repository.ts'
import { passesFilters } from '../events/filter-repository.ts'
import { requeue } from './log-repository.ts'

export type NewReplay = Omit<Replay, 'doneSeq' | 'createdAt'>

/** Events read in one go, to count them and to make them deliveries. */
const COUNT_STEP = 5_000
const FILTERED_COUNT_STEP = 1_000
const BATCH = 200

const param = sql.placeholder
const newest = statement(orm =>
  orm
    .select({ seq: sql<number | null>`max(${events.seq})` })
    .from(events)
    .where(eq(events.identityId, param('identityId'))),
)
const allUnderWay = statement(orm =>
  orm
    .select({ replay: replays, webhook: webhooks })
    .from(replays)
    .innerJoin(webhooks, and(eq(webhooks.identityId, replays.identityId), eq(webhooks.id, replays.webhookId)))
    .orderBy(asc(replays.createdAt)),
)
const deliveryOf = rowsBy(deliveries, 'identityId', 'webhookId', 'eventSeq')

/** The next events of the identity, whether they match or not. */
const stretch = (orm: Orm, { identityId, lastSeq }: NewReplay, afterSeq: number, limit: number) =>
  orm
    .select({
      seq: events.seq,
      name: events.name,
      roomId: events.roomId,
      deviceRowId: events.deviceRowId,
      receivedAt: events.receivedAt,
    })
    .from(events)
    .where(
      and(
        eq(events.identityId, identityId),
        sql`${events.seq} > ${afterSeq} and ${events.seq} <= ${lastSeq}`,
      ),
    )
    .orderBy(asc(events.seq))
    .limit(limit)
    .as('stretch')

function matches(
  events: ReturnType<typeof stretch>,
  { since, until, onlyFailed, ...of }: NewReplay,
  webhook: Webhook,
) {
  const asked = eventsAskedFor(webhook)
  const isFailed = sql`exists (select 1 from deliveries
      where identity_id = ${of.identityId} and webhook_id = ${of.webhookId} and event_seq = ${events.seq}
        and status <> 'succeeded' and attempts > uncounted_attempts)`
  const passes = sql`exists (select 1 from ${webhooks} where ${webhooks.identityId} = ${of.identityId}
      and ${webhooks.id} = ${of.webhookId} and ${passesFilters(sql`${events.seq}`)})`
  return and(
    sql`${events.receivedAt} >= ${since} and ${events.receivedAt} < ${until} and ${events.name} <> 'webhook.test'`,
    asked.includes('*')
      ? undefined
      : sql`${events.name} in (select value from json_each(${JSON.stringify(asked)}))`,
    onlyFailed ? isFailed : undefined,
    webhook.filters === null ? undefined : passes,
  )
}

export type ReplayRepository = ReturnType<typeof createReplayRepository>

export function createReplayRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /** The newest event of an identity, 0 when there is none. */
    async newestSeq(identityId: string): Promise<number> {
      return (await db.read(reader => reader.get(newest, { identityId })))?.seq ?? 0
    },

    /**
     * Looks at a bounded number of events after `afterSeq`.
     * @returns how many are to be delivered, and the last of them all; null when there are no more
     */
    async count(replay: NewReplay, webhook: Webhook, afterSeq: number) {
      const counted = await db.read(reader =>
        reader.get(orm => {
          const step = webhook.filters === null ? COUNT_STEP : FILTERED_COUNT_STEP
          const events = stretch(orm, replay, afterSeq, step)
          return orm
            .select({
              matches: sql<number>`count(*) filter (where ${matches(events, replay, webhook)})`,
              lastSeq: sql<number | null>`max(${events.seq})`,
            })
            .from(events)
        }),
      )
      return counted ?? { matches: 0, lastSeq: null }
    },

    /** @returns false when this webhook has one under way already */
    start: (replay: NewReplay, now: number) =>
      db.write(async tx => {
        const started = await tx.get(orm =>
          orm
            .insert(replays)
            .values({ ...replay, doneSeq: 0, createdAt: now })
            .onConflictDoNothing()
            .returning({ webhookId: replays.webhookId }),
        )
        return started !== undefined
      }),

    /** Replays under way, oldest first. */
    underWay: () => db.read(reader => reader.all(allUnderWay)),

    /** Makes deliveries of a bounded number of next events. The last one ends the replay. */
    advance: (replay: Replay, webhook: Webhook, now: number) =>
      db.write(async tx => {
        const { identityId, webhookId } = replay
        const next = await tx.all(orm => {
          const events = stretch(orm, replay, replay.doneSeq, BATCH)
          const { seq, roomId, deviceRowId } = events
          const isWanted = sql<number>`${matches(events, replay, webhook)}`
          return orm.select({ seq, roomId, deviceRowId, isWanted }).from(events).orderBy(asc(seq))
        })
        for (const { seq: eventSeq, roomId, deviceRowId, isWanted } of next) {
          if (!isWanted) continue
          // Lanes of its own, so that new events don't wait for past ones.
          const lane = `replay/${roomId || `device/${deviceRowId}`}`
          const known = await tx.get(deliveryOf, { identityId, webhookId, eventSeq })
          if (known) await requeue(tx, known, lane, now)
          else await writeDelivery(tx, { identityId, webhookId, eventSeq, lane }, now)
        }
        const doneSeq = next.at(-1)?.seq ?? replay.lastSeq
        const ofWebhook = and(eq(replays.identityId, identityId), eq(replays.webhookId, webhookId))
        if (doneSeq >= replay.lastSeq) await tx.run(orm => orm.delete(replays).where(ofWebhook))
        else await tx.run(orm => orm.update(replays).set({ doneSeq }).where(ofWebhook))
      }),
  }
}
