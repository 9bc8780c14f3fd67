/**
 * SQL of replays: past events become deliveries again, a bounded batch at a time. What is done is written with each batch, so that a replay
 * goes on after a restart where it was.
 */
import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import {
  deliveries,
  inboxEvents,
  type Replay,
  replays,
  type Webhook,
  webhooks,
} from '../../db/schema/index.ts'
import { createDeliveryWriter, eventsAskedFor } from '../events/repository.ts'
import { createRequeuer } from './requeue-repository.ts'

export type NewReplay = Omit<Replay, 'doneSeq' | 'createdAt'>

/** What a stretch of an identity's events holds for a replay. */
export interface Stretch {
  /** How many of its events are to be delivered. */
  matches: number
  /** Its last event; null when there is none any more. */
  lastSeq: number | null
}

export interface ReplayRepository {
  /** The newest event of an identity, 0 when there is none. */
  newestSeq(identityId: string): Promise<number>
  /** Looks at a bounded number of events after `afterSeq`. */
  count(replay: NewReplay, webhook: Webhook, afterSeq: number): Promise<Stretch>
  /** @returns false when one of this webhook is under way already */
  start(replay: NewReplay, now: number): Promise<boolean>
  /** Those under way, oldest first. */
  underWay(): Promise<{ replay: Replay; webhook: Webhook }[]>
  /** Makes deliveries of the next events, a bounded number of them; ends the replay with the last. @returns how many */
  advance(replay: Replay, webhook: Webhook, now: number): Promise<number>
}

/** Events looked at in one go: while they are counted, and while they are made deliveries. */
const COUNT_STEP = 5_000
const BATCH = 200

export function createReplayRepository(db: Db): ReplayRepository {
  const { orm, committer } = db
  const deliver = createDeliveryWriter(db)
  const requeue = createRequeuer(db)

  /** The next events of the identity, whether they match or not. */
  const stretch = ({ identityId, lastSeq }: NewReplay, afterSeq: number, limit: number) =>
    orm
      .select({
        seq: inboxEvents.seq,
        name: inboxEvents.name,
        roomId: inboxEvents.roomId,
        deviceRowId: inboxEvents.deviceRowId,
        receivedAt: inboxEvents.receivedAt,
      })
      .from(inboxEvents)
      .where(
        and(
          eq(inboxEvents.identityId, identityId),
          sql`${inboxEvents.seq} > ${afterSeq} and ${inboxEvents.seq} <= ${lastSeq}`,
        ),
      )
      .orderBy(asc(inboxEvents.seq))
      .limit(limit)
      .as('stretch')
  type StretchRows = ReturnType<typeof stretch>

  function matches(events: StretchRows, { since, until, onlyFailed, ...of }: NewReplay, webhook: Webhook) {
    const asked = eventsAskedFor(webhook)
    const isFailed = sql`exists (select 1 from deliveries
      where identity_id = ${of.identityId} and webhook_id = ${of.webhookId} and inbox_seq = ${events.seq}
        and status <> 'succeeded' and attempts > forgiven)`
    return and(
      sql`${events.receivedAt} >= ${since} and ${events.receivedAt} < ${until} and ${events.name} <> 'webhook.test'`,
      asked.includes('*')
        ? undefined
        : sql`${events.name} in (select value from json_each(${JSON.stringify(asked)}))`,
      onlyFailed ? isFailed : undefined,
    )
  }

  const deliveryOf = ({ identityId, webhookId }: Replay, inboxSeq: number) =>
    orm
      .select()
      .from(deliveries)
      .where(
        and(
          eq(deliveries.identityId, identityId),
          eq(deliveries.webhookId, webhookId),
          eq(deliveries.inboxSeq, inboxSeq),
        ),
      )
      .get()

  const ofWebhook = ({ identityId, webhookId }: Pick<Replay, 'identityId' | 'webhookId'>) =>
    and(eq(replays.identityId, identityId), eq(replays.webhookId, webhookId))

  return {
    newestSeq: async identityId =>
      orm
        .select({ seq: sql<number | null>`max(${inboxEvents.seq})` })
        .from(inboxEvents)
        .where(eq(inboxEvents.identityId, identityId))
        .get()?.seq ?? 0,

    async count(replay, webhook, afterSeq) {
      const events = stretch(replay, afterSeq, COUNT_STEP)
      const counted = orm
        .select({
          matches: sql<number>`count(*) filter (where ${matches(events, replay, webhook)})`,
          lastSeq: sql<number | null>`max(${events.seq})`,
        })
        .from(events)
        .get()
      return counted ?? { matches: 0, lastSeq: null }
    },

    start: (replay, now) =>
      committer.write(() => {
        const started = orm
          .insert(replays)
          .values({ ...replay, doneSeq: 0, createdAt: now })
          .onConflictDoNothing()
          .returning({ webhookId: replays.webhookId })
          .get()
        return started !== undefined
      }),

    underWay: async () =>
      orm
        .select({ replay: replays, webhook: webhooks })
        .from(replays)
        .innerJoin(
          webhooks,
          and(eq(webhooks.identityId, replays.identityId), eq(webhooks.id, replays.webhookId)),
        )
        .orderBy(asc(replays.createdAt))
        .all(),

    advance: (replay, webhook, now) =>
      committer.write(() => {
        const { identityId, webhookId } = replay
        const events = stretch(replay, replay.doneSeq, BATCH)
        const wanted = orm
          .select()
          .from(events)
          .where(matches(events, replay, webhook))
          .all()
        for (const { seq, roomId, deviceRowId } of wanted) {
          // Lanes of its own: what happens meanwhile doesn't wait until the past has been told.
          const lane = `replay/${roomId || `device/${deviceRowId}`}`
          const known = deliveryOf(replay, seq)
          if (known) requeue(known, lane, now)
          else deliver({ identityId, webhookId, inboxSeq: seq, lane }, now)
        }
        const { doneSeq } = orm
          .select({ doneSeq: sql<number | null>`max(${events.seq})` })
          .from(events)
          .get() ?? { doneSeq: null }
        if (doneSeq === null || doneSeq >= replay.lastSeq) orm.delete(replays).where(ofWebhook(replay)).run()
        else orm.update(replays).set({ doneSeq }).where(ofWebhook(replay)).run()
        return wanted.length
      }),
  }
}
