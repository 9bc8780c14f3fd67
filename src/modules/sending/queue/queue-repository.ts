/** SQL of the outbox: claiming lanes and their messages, settling these, and giving lanes back. */
import { and, eq, getTableColumns, gt, isNull, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { laneLeases, OUT_OF_THE_WAY_MS } from '../../../db/lane-leases.ts'
import type { Db } from '../../../db/open.ts'
import { devices, type Message, messages, outboxDevices, outboxLanes } from '../../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../../db/stable-params.ts'
import { statement } from '../../../db/statement.ts'
import type { Tx } from '../../../db/transaction.ts'
import type { LaneClaim } from '../../../runtime/lane-worker.ts'
import { isCaptionSent } from '../content/caption-repository.ts'
import { afterSending, mayNextSendAt, type Pace } from '../limits.ts'
import { isInClosedRoom, isSaidInClosedRoom, PLACE } from '../message-repository.ts'
import type { HandedOverAt, StatusWriter } from '../statuses/status-repository.ts'
import { hurryLane, isLaneOfDevice, lanesOf } from './lane-repository.ts'

export interface ClaimedLane {
  lane: string
  platform: string
  leaseId: string
  /** Oldest first, never empty. `attempts` counts the one that begins. */
  messages: Message[]
}

export interface ClaimRequest extends LaneClaim {
  /** Applies to lanes without a pace. */
  maxMessagesPerLane: number
  /** The pace of each platform. */
  paceOf(platform: string): Pace
}

/** How a try ended. */
export type Settlement =
  | ({ outcome: 'submitted' } & HandedOverAt)
  /** An act of which nobody will say anything more. */
  | { outcome: 'done' }
  /** `heldUpSince` where it is given up, and has held up its lane since then. */
  | { outcome: 'failed'; reason: string; heldUpSince?: number }
  /**
   * To be tried again, after `retryInMs` where whoever refused it said when; until then nothing of
   * its lane is sent. `refusedSince` is null where it wasn't its bridge that refused it.
   */
  | { outcome: 'retry'; reason: string; refusedSince: number | null; retryInMs?: number }
  /** It may not be sent before `until`, which is nobody's failure: the try doesn't count. */
  | { outcome: 'held'; reason: string; until: number }

/**
 * A lane whose next message waits for the one that it answers, or for its file, is looked at again
 * after a part of the time that it waits, within these bounds in milliseconds. A look is no try and
 * takes nothing of the pace.
 */
const LOOK_AGAIN = { share: 0.1, minMs: 500, maxMs: 10_000 }

/** A bridge that took a message before it closed the room has said so by then, in milliseconds. */
export const LAST_WORD_MS = 5_000

const leases = laneLeases('outbox_lanes')
const param = sql.placeholder

const dueDevices = statement(orm =>
  orm
    .select({
      deviceRowId: outboxDevices.deviceRowId,
      nextSendAt: outboxDevices.nextSendAt,
      platform: devices.platform,
    })
    .from(outboxDevices)
    .innerJoin(devices, eq(devices.id, outboxDevices.deviceRowId))
    .where(sql`${outboxDevices.dueAt} <= ${numberParam('now')}`)
    .orderBy(outboxDevices.dueAt)
    .limit(limitParam('limit')),
)
const dueLanes = statement(orm =>
  orm
    .select({ lane: outboxLanes.lane })
    .from(outboxLanes)
    .where(
      sql`${outboxLanes.deviceRowId} = ${textParam('deviceRowId')} and ${outboxLanes.dueAt} <= ${numberParam('now')}
        and ${outboxLanes.leaseId} is null`,
    )
    .orderBy(outboxLanes.dueAt, outboxLanes.lane)
    .limit(limitParam('limit')),
)
const putDeviceOff = statement(orm =>
  orm
    .update(outboxDevices)
    .set({
      nextSendAt: sql`${param('nextSendAt')}`,
      dueAt: sql`max(${param('nextSendAt')}, coalesce((select min(due_at) from outbox_lanes
        where device_row_id = ${textParam('deviceRowId')} and lease_id is null), ${param('outOfTheWay')}))`,
    })
    .where(eq(outboxDevices.deviceRowId, param('deviceRowId'))),
)
const lookAtDevices = statement(orm =>
  orm
    .update(outboxDevices)
    .set({ dueAt: sql`${param('now')}` })
    .where(gt(outboxDevices.dueAt, param('now'))),
)
const ofLane = eq(outboxLanes.lane, param('lane'))
// As `send` of the outbox finds it.
const next = statement(orm =>
  orm
    .select({
      createdAt: messages.createdAt,
      resendAt: messages.resendAt,
      waits: sql<number>`exists (select 1 from messages as answered where answered.id in (messages.reply_to, messages.target)
        and answered.identity_id = messages.identity_id and answered.status in ('scheduled', 'queued', 'sending'))
        or exists (select 1 from media where media.id = messages.media_id and media.source_url is not null)`,
    })
    .from(messages)
    .where(sql`${messages.seq} in (${nextInLane(ONE)})`),
)
const putOff = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ dueAt: sql`${param('dueAt')}` })
    .where(ofLane),
)
// One statement marks a lane's next messages and gives them, in no certain order.
const startSending = statement(orm =>
  orm
    .update(messages)
    .set({ status: 'sending', attempts: sql`${messages.attempts} + 1`, updatedAt: sql`${param('now')}` })
    .where(sql`${messages.seq} in (${nextInLane(numberParam('limit'))})`)
    .returning({ ...getTableColumns(messages), place: PLACE }),
)
const requeue = statement(orm =>
  orm
    .update(messages)
    .set({ status: 'queued', attempts: sql`${messages.attempts} - 1` })
    .where(
      // The first list is the one of messages_waiting: without it this would read the whole table.
      sql`${messages.lane} = ${param('lane')} and ${messages.seq} <= ${param('last')} and ${messages.status} in ('queued', 'sending') and ${messages.status} = 'sending'
        and exists (select 1 from outbox_lanes where lane = ${param('lane')} and lease_id = ${param('leaseId')})`,
    ),
)
const closeLane = statement(orm => orm.delete(outboxLanes).where(ofLane))
const statusOf = statement(orm =>
  orm
    .select({ status: messages.status })
    .from(messages)
    .where(eq(messages.seq, param('seq'))),
)
const silentIn = statement(orm =>
  orm
    .select()
    .from(messages)
    .where(
      // The list is the one of messages_unread, as a partial index is found by its text.
      sql`${messages.roomId} = ${textParam('roomId')} and ${messages.status} in ('submitted', 'sent', 'delivered')
        and ${messages.status} = 'submitted' and ${messages.identityId} = ${param('identityId')}`,
    )
    .orderBy(messages.seq),
)
const waitsBefore = statement(orm =>
  orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(
      // The list is the one of messages_waiting, as a partial index is found by its text.
      sql`${messages.lane} = ${textParam('lane')} and ${messages.seq} < ${numberParam('seq')} and ${messages.status} in ('queued', 'sending')
        and ${messages.status} = 'queued'`,
    )
    .limit(ONE),
)
const closedRooms = statement(orm =>
  orm
    .selectDistinct({ identityId: messages.identityId, roomId: sql<string>`${messages.roomId}` })
    .from(messages)
    .where(sql`${messages.status} = 'submitted' and ${isInClosedRoom}`),
)
const markHeldUp = statement(orm =>
  orm
    .update(messages)
    .set({ failingSince: sql`max(${messages.createdAt}, ${param('since')})` })
    .where(
      sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending') and ${messages.failingSince} is null`,
    ),
)
const resendNow = statement(orm =>
  orm
    .update(messages)
    .set({ resendAt: null })
    .where(
      sql`${isLaneOfDevice(messages.lane)} and ${messages.status} in ('queued', 'sending') and ${messages.resendAt} is not null`,
    ),
)
const earliest = statement(orm =>
  orm.select({ dueAt: outboxDevices.dueAt }).from(outboxDevices).orderBy(outboxDevices.dueAt).limit(ONE),
)
const wakeLanes = statement(orm =>
  orm
    .update(outboxLanes)
    .set({ dueAt: sql`${param('now')}` })
    .where(
      and(
        eq(outboxLanes.deviceRowId, param('deviceRowId')),
        isNull(outboxLanes.leaseId),
        gt(outboxLanes.dueAt, param('now')),
        sql`${outboxLanes.dueAt} is not (select restricted_until from devices where id = ${param('deviceRowId')})`,
      ),
    ),
)

export type OutboxQueue = ReturnType<typeof createOutboxQueue>

export function createOutboxQueue(
  db: Pick<Db, 'read' | 'write'>,
  statuses: Pick<StatusWriter, 'submitted' | 'done' | 'failed' | 'waits' | 'held' | 'closedOut'>,
) {
  /** When this process began: reports of what was handed over before may still come. */
  let begunAt = 0

  return {
    isCaptionSent: (messageId: string) => db.read(reader => isCaptionSent(reader, messageId)),

    /** True when the event is of another room, which its bridge has closed and forgotten. */
    isQuoteLost: (identityId: string, eventId: string, roomId: string) =>
      db.read(reader => isSaidInClosedRoom(reader, identityId, eventId, roomId)),

    claim: ({ leaseId, now, maxLanes, maxMessagesPerLane, paceOf }: ClaimRequest) =>
      db.write(async tx => {
        const claimed: ClaimedLane[] = []
        const outOfTheWay = now + OUT_OF_THE_WAY_MS
        for (const device of await tx.all(dueDevices, { now, limit: maxLanes })) {
          const { deviceRowId, platform } = device
          const pace = paceOf(platform)
          const isPaced = pace.intervalMs > 0
          let nextSendAt = mayNextSendAt(pace, device.nextSendAt, now)
          const limit = maxLanes - claimed.length
          for (const { lane } of await tx.all(dueLanes, { deviceRowId, now, limit })) {
            if (nextSendAt > now) break
            if (!(await canGo(tx, lane, now))) continue
            const messages = await tx.all(startSending, {
              lane,
              limit: isPaced ? 1 : maxMessagesPerLane,
              now,
            })
            if (isPaced && messages.some(takesTurn)) nextSendAt = afterSending(pace, nextSendAt, now)
            await tx.run(leases.lease, { lane, leaseId, dueAt: outOfTheWay })
            claimed.push({ lane, platform, leaseId, messages: messages.sort(inOrder) })
          }
          await tx.run(putDeviceOff, { deviceRowId, nextSendAt, outOfTheWay })
          if (claimed.length === maxLanes) break
        }
        return claimed
      }),

    /** Does nothing with a message that isn't being sent any more. */
    settle: (message: Message, settlement: Settlement, now: number) =>
      db.write(async tx => {
        // It can't be settled twice, nor against a report from meanwhile.
        if ((await tx.get(statusOf, { seq: message.seq }))?.status !== 'sending') return
        switch (settlement.outcome) {
          case 'submitted':
            return statuses.submitted(tx, message, settlement, now)
          case 'done':
            return statuses.done(tx, message, now)
          case 'failed':
            if (settlement.heldUpSince !== undefined)
              await tx.run(markHeldUp, { lane: message.lane, since: settlement.heldUpSince })
            return statuses.failed(tx, message, settlement.reason, now)
          case 'retry':
            return statuses.waits(tx, message.seq, settlement, now)
          case 'held':
            return statuses.held(tx, message.seq, settlement.reason, now)
        }
      }),

    /** Rooms that their bridges have closed, and with messages of which nobody has spoken. */
    closedRooms: () => db.read(reader => reader.all(closedRooms)),

    /**
     * Sends again what a bridge didn't take before it closed a room, which is before what was
     * accepted since.
     * @returns how long the room's chat has to wait, in milliseconds; null when nothing is left
     */
    async settleClosedRoom(identityId: string, roomId: string, now: number): Promise<number | null> {
      // Seldom is there anything to write.
      if (!(await db.read(reader => reader.get(silentIn, { identityId, roomId })))) return null
      return db.write(async tx => {
        const found = await tx.all(silentIn, { identityId, roomId })
        if (found.length === 0) return null
        const ageMs = now - Math.max(begunAt, ...found.map(({ updatedAt }) => updatedAt))
        // The clock may have been set back since.
        if (ageMs < LAST_WORD_MS) return Math.min(LAST_WORD_MS, LAST_WORD_MS - ageMs)
        for (const message of found) await statuses.closedOut(tx, message, now)
        return 0
      })
    },

    /** True when an earlier message of its lane was sent back since the message was claimed. */
    overtakes: ({ lane, seq }: Pick<Message, 'lane' | 'seq'>) =>
      db.read(async reader => (await reader.get(waitsBefore, { lane, seq })) !== undefined),

    release: ({ lane, leaseId, messages: claimed }: ClaimedLane, dueAt: number) =>
      db.write(async tx => {
        if (!(await tx.get(next, { lane }))) return tx.run(leases.close, { lane, leaseId })
        // Claimed with the others, but not tried.
        await tx.run(requeue, { lane, leaseId, last: Math.max(...claimed.map(({ seq }) => seq)) })
        await tx.run(leases.giveBack, { lane, leaseId, dueAt })
      }),

    /**
     * Lets a device's lanes be tried now instead of after their wait, at its pace, except those
     * that wait for its restriction to end.
     */
    wake: (deviceRowId: string, now: number) =>
      db.write(async tx => {
        tx.emit('accepted')
        await tx.run(resendNow, lanesOf(deviceRowId))
        return tx.run(wakeLanes, { deviceRowId, now })
      }),

    /** Lets a lane be tried now instead of after its wait. */
    hurry: (lane: string, now: number) => db.write(tx => hurryLane(tx, lane, now)),

    nextDueAt: async () => (await db.read(reader => reader.get(earliest)))?.dueAt ?? null,

    /** Also looks at each device once: its pace may be another since the last run. */
    releaseAbandoned: (now: number) => {
      begunAt = now
      return db.write(async tx => {
        await tx.run(leases.free, { now })
        await tx.run(lookAtDevices, { now })
      })
    },
  }
}

/** False for reading, which networks don't count. */
function takesTurn({ act }: Message): boolean {
  return act !== 'read'
}

/** Closes a lane in which nothing waits, and puts one off whose next message may not go yet. */
async function canGo(tx: Tx, lane: string, now: number): Promise<boolean> {
  const waiting = await tx.get(next, { lane })
  if (!waiting) await tx.run(closeLane, { lane })
  const notBefore = waiting?.waits ? lookAgainAt(waiting.createdAt, now) : (waiting?.resendAt ?? now)
  if (notBefore > now) await tx.run(putOff, { lane, dueAt: notBefore })
  return waiting !== undefined && notBefore <= now
}

function lookAgainAt(waitsSince: number, now: number): number {
  const { share, minMs, maxMs } = LOOK_AGAIN
  return now + Math.min(maxMs, Math.max(minMs, Math.round(share * (now - waitsSince))))
}

/**
 * A caption that the network sent back to the queue goes where its file stood, before what was
 * accepted for the lane since. Binds `lane`.
 * @returns a query of the `seq`s of a lane's next messages
 */
function nextInLane(limit: SQLWrapper | number): SQL {
  const ofLane = sql`lane = ${textParam('lane')} and status in ('queued', 'sending')`
  return sql`select seq from (
      select * from (select seq, seq as place from messages where ${ofLane} order by seq limit ${limit})
      union all
      select seq, ${PLACE} from messages where caption_of is not null and ${ofLane}
    ) group by seq order by min(place), seq limit ${limit}`
}

type Placed = Pick<Message, 'seq'> & { place: number }

function inOrder(one: Placed, other: Placed): number {
  return one.place - other.place || one.seq - other.seq
}
