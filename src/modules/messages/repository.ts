/**
 * SQL of the outbox. A lane (one device, one recipient) is claimed by lease and its messages are sent in order; the lane's row exists as long as
 * it has messages waiting.
 */
import { and, desc, eq, gt, isNull, lt, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import {
  devicePaces,
  devices,
  type Message,
  media,
  messages,
  outboxLanes,
  resolvedRecipients,
} from '../../db/schema/index.ts'
import { limitParam, numberParam, ONE, textParam } from '../../db/stable-params.ts'
import type { Observer } from '../../domain/observation.ts'
import type { StagedFile } from '../media/types.ts'
import type { Backlog } from './backlog.ts'
import { expiredReason } from './expired.ts'
import { nextSlot, type Pace } from './pace.ts'
import { createStatusWriter } from './status-repository.ts'

export type NewMessage = Pick<
  Message,
  | 'id'
  | 'identityId'
  | 'deviceRowId'
  | 'lane'
  | 'recipientKind'
  | 'recipient'
  | 'text'
  | 'mediaId'
  | 'replyTo'
  | 'expiresAt'
>

export interface ClaimedLane {
  lane: string
  platform: string
  leaseId: string
  /** Oldest first, never empty. `attempts` counts the one that begins. */
  messages: Message[]
}

export interface ClaimRequest {
  leaseId: string
  now: number
  leaseMs: number
  maxLanes: number
  /** Of a lane without a pace. */
  maxMessagesPerLane: number
  /** The pace of each platform. */
  paceOf(platform: string): Pace
}

/** How a try ended. */
export type Settlement =
  | { outcome: 'submitted'; eventId: string; roomId: string; bridgeBot: string | null }
  | { outcome: 'failed'; reason: string }
  /** To be tried again, after `retryInMs` where whoever refused it said when; until then nothing of its lane is sent. */
  | { outcome: 'retry'; reason: string; retryInMs?: number }

export interface MessageRepository {
  /** @param onStored is called inside the transaction */
  accept(
    rows: readonly NewMessage[],
    file: StagedFile | undefined,
    now: number,
    onStored?: () => void,
  ): Promise<void>
  claim(request: ClaimRequest): Promise<ClaimedLane[]>
  /** @returns whether there is something to deliver */
  settle(message: Message, settlement: Settlement, now: number): Promise<boolean>
  /** Takes as sent what was handed over before `before` and what nobody has said anything about. @returns how many, at most `limit` */
  settleSilent(before: number, limit: number, now: number): Promise<{ count: number; deliveries: boolean }>
  /** Takes back a message if it is still queued. @returns null when the identity has no such message */
  cancel(identityId: string, id: string, now: number): Promise<Cancelled | null>
  /** Fails messages that are queued beyond their `expires_at`, those that are longest beyond it first. @returns how many, at most `limit` */
  expire(now: number, limit: number): Promise<{ count: number } & Ended>
  /** How many messages wait to be sent, by identity. */
  waiting(): Promise<Map<string, number>>
  /** What waits for a device, by lane: at most a few thousand lanes, beyond which an estimate is too early. */
  deviceQueue(deviceRowId: string): Promise<DeviceQueue>
  /** How many messages wait before each of these in its lane, by `seq`. */
  placesInLane(queued: readonly Pick<Message, 'seq' | 'lane'>[]): Promise<Map<number, number>>
  /** Gives a lane back. @param dueAt when its next message may be tried, if it has one */
  release(lane: ClaimedLane, dueAt: number): Promise<void>
  /** Lets a device's lanes be tried now instead of after their wait; those that wait for a slot of its pace wait on. */
  wake(deviceRowId: string, now: number): Promise<void>
  /** When the next lane is due, null when none waits. */
  nextDueAt(): Promise<number | null>
  /** Leases of a process that is gone: with one process for a database file, all that are there at its start. */
  releaseAbandoned(now: number): Promise<void>
  get(identityId: string, id: string): Promise<MessageWithDevice | null>
  /** @returns null when the identity has no message `before` */
  list(identityId: string, limit: number, before: string | undefined): Promise<MessageWithDevice[] | null>
  resolvedRoom(deviceRowId: string, recipientKey: string): Promise<string | null>
  rememberRoom(deviceRowId: string, recipientKey: string, roomId: string, now: number): Promise<void>
  forgetRoom(deviceRowId: string, roomId: string): Promise<void>
}

/** A lane of a device, as far as its turns depend on it. */
export interface QueuedLane {
  lane: string
  /** Messages that are queued or being sent. */
  waiting: number
  dueAt: number
  /** Whether `dueAt` is a slot that was given to it. */
  hasSlot: boolean
  /** Whether its first message is being sent just now. */
  leased: boolean
}

export interface DeviceQueue {
  /** As in `nextSlot`. */
  restAt: number
  lanes: readonly QueuedLane[]
}

/** What comes of ending messages that waited. */
export interface Ended {
  /** Whether there is something to deliver. */
  deliveries: boolean
  /** Files whose rows are gone, as no message needs them any more. */
  unneeded: string[]
}

export interface Cancelled extends Ended {
  /** False: it was queued no more, and stays as it is. */
  cancelled: boolean
  found: MessageWithDevice
}

export interface MessageWithDevice {
  message: Message
  platform: string
  deviceId: string
}

/** Of a device, to tell when a message is due. */
const MAX_LANES_LOOKED_AT = 5_000

export function createMessageRepository(
  db: Db,
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
): MessageRepository {
  const { orm, committer } = db
  const param = sql.placeholder

  const insertMessage = orm
    .insert(messages)
    .values({
      id: param('id'),
      identityId: param('identityId'),
      deviceRowId: param('deviceRowId'),
      lane: param('lane'),
      recipientKind: param('recipientKind'),
      recipient: param('recipient'),
      text: param('text'),
      mediaId: param('mediaId'),
      replyTo: param('replyTo'),
      expiresAt: param('expiresAt'),
      status: 'queued',
      reason: null,
      attempts: 0,
      resends: 0,
      roomId: null,
      eventId: null,
      createdAt: param('now'),
      updatedAt: param('now'),
    })
    .prepare()
  // A lane that exists keeps its time: it waits for its slot or its retry, or its holder will see the new message.
  const openLane = orm
    .insert(outboxLanes)
    .values({
      lane: param('lane'),
      deviceRowId: param('deviceRowId'),
      dueAt: param('now'),
      leaseId: null,
      hasSlot: false,
    })
    .onConflictDoNothing()
    .prepare()
  const dueLanes = orm
    .select({
      lane: outboxLanes.lane,
      hasSlot: outboxLanes.hasSlot,
      dueAt: outboxLanes.dueAt,
      deviceRowId: outboxLanes.deviceRowId,
      platform: devices.platform,
    })
    .from(outboxLanes)
    .innerJoin(devices, eq(devices.id, outboxLanes.deviceRowId))
    .where(sql`${outboxLanes.dueAt} <= ${numberParam('now')}`)
    .orderBy(outboxLanes.dueAt)
    .limit(limitParam('limit'))
    .prepare()
  const lease = orm
    .update(outboxLanes)
    .set({ leaseId: sql`${param('leaseId')}`, dueAt: sql`${param('until')}`, hasSlot: false })
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const giveSlot = orm
    .update(outboxLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}`, hasSlot: true })
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const anyWaiting = orm
    .select({ seq: messages.seq })
    .from(messages)
    .where(and(eq(messages.lane, textParam('lane')), sql`${messages.status} in ('queued', 'sending')`))
    .limit(ONE)
    .prepare()
  // One statement marks a lane's next messages and gives them, in no certain order.
  const startSending = orm
    .update(messages)
    .set({ status: 'sending', attempts: sql`${messages.attempts} + 1`, updatedAt: sql`${param('now')}` })
    .where(
      sql`${messages.seq} in (select seq from messages where lane = ${textParam('lane')}
        and status in ('queued', 'sending') order by seq limit ${numberParam('limit')})`,
    )
    .returning()
    .prepare()
  const closeLane = orm
    .delete(outboxLanes)
    .where(eq(outboxLanes.lane, param('lane')))
    .prepare()
  const returnLane = orm
    .update(outboxLanes)
    .set({ leaseId: null, dueAt: sql`${param('dueAt')}` })
    .where(and(eq(outboxLanes.lane, param('lane')), eq(outboxLanes.leaseId, param('leaseId'))))
    .prepare()
  const statuses = createStatusWriter(db, observer, backlog)
  const requeue = orm
    .update(messages)
    .set({ status: 'queued' })
    .where(
      // The literal list is the one of messages_waiting: without it the statement would read the whole table.
      sql`${messages.lane} = ${param('lane')} and ${messages.seq} <= ${param('last')} and ${messages.status} in ('queued', 'sending') and ${messages.status} = 'sending'`,
    )
    .prepare()
  const stillNeeded = orm
    .select({ seq: messages.seq })
    .from(messages)
    // Also by one that was handed over: the network may ask for it to be sent again.
    .where(
      sql`${messages.mediaId} = ${textParam('mediaId')} and ${messages.status} not in ('failed', 'cancelled')`,
    )
    .limit(ONE)
    .prepare()
  const expired = orm
    .select()
    .from(messages)
    .where(
      // As the index messages_expiring has it.
      sql`${messages.expiresAt} <= ${numberParam('now')} and ${messages.status} = 'queued' and ${messages.expiresAt} is not null`,
    )
    .orderBy(messages.expiresAt)
    .limit(limitParam('limit'))
    .prepare()
  // Counted within the index messages_waiting, whose lanes begin with their device.
  const waitingByIdentity = orm
    .select({ identityId: devices.identityId, count: sql<number>`sum(lanes.count)` })
    .from(
      sql`(select substr(lane, 1, instr(lane, '/') - 1) as device, count(*) as count from messages
        where status in ('queued', 'sending') group by lane) as lanes`,
    )
    .innerJoin(devices, sql`${devices.id} = lanes.device`)
    .groupBy(devices.identityId)
    .prepare()
  // All lanes of a device stand together in the primary key: their names begin with its id and a slash.
  const ofDevice = sql`${outboxLanes.lane} >= ${textParam('from')} and ${outboxLanes.lane} < ${textParam('to')}`
  const heldSlots = orm
    .select({ count: sql<number>`count(*)`, latest: sql<number | null>`max(${outboxLanes.dueAt})` })
    .from(outboxLanes)
    .where(and(ofDevice, eq(outboxLanes.hasSlot, true)))
    .prepare()
  const freeSlots = orm
    .update(outboxLanes)
    .set({ hasSlot: false, dueAt: sql`${outboxLanes.dueAt} - ${param('earlierBy')}` })
    .where(and(ofDevice, eq(outboxLanes.hasSlot, true)))
    .prepare()
  const queueOfDevice = orm
    .select({
      lane: outboxLanes.lane,
      dueAt: outboxLanes.dueAt,
      hasSlot: outboxLanes.hasSlot,
      leaseId: outboxLanes.leaseId,
      waiting: sql<number>`(select count(*) from messages where messages.lane = outbox_lanes.lane
        and messages.status in ('queued', 'sending'))`,
    })
    .from(outboxLanes)
    .where(ofDevice)
    .limit(limitParam('limit'))
    .prepare()
  const waitingBetween = orm
    .select({ count: sql<number>`count(*)` })
    .from(messages)
    .where(
      sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')
        and ${messages.seq} >= ${numberParam('from')} and ${messages.seq} < ${numberParam('before')}`,
    )
    .prepare()
  const earliest = orm
    .select({ dueAt: sql<number | null>`min(${outboxLanes.dueAt})` })
    .from(outboxLanes)
    .prepare()
  const paceOfDevice = orm
    .select({ restAt: devicePaces.restAt })
    .from(devicePaces)
    .where(eq(devicePaces.deviceRowId, param('deviceRowId')))
    .prepare()
  const setPace = orm
    .insert(devicePaces)
    .values({ deviceRowId: param('deviceRowId'), restAt: param('restAt') })
    .onConflictDoUpdate({ target: devicePaces.deviceRowId, set: { restAt: sql`excluded.rest_at` } })
    .prepare()
  const resolved = orm
    .select({ roomId: resolvedRecipients.roomId })
    .from(resolvedRecipients)
    .where(
      and(
        eq(resolvedRecipients.deviceRowId, param('deviceRowId')),
        eq(resolvedRecipients.recipientKey, param('recipientKey')),
      ),
    )
    .prepare()

  /**
   * The device's time to send went by unused: nothing ran, or everything was held up. Its lanes keep their order, and share out slots anew from
   * now on, as if none had been given.
   */
  function takeSlotsBack(deviceRowId: string, { intervalMs }: Pace, now: number): void {
    const device = lanesFromTo(deviceRowId)
    const held = heldSlots.get(device)
    const restAt = paceOfDevice.get({ deviceRowId })?.restAt ?? 0
    setPace.run({ deviceRowId, restAt: restAt - (held?.count ?? 0) * intervalMs })
    freeSlots.run({ ...device, earlierBy: Math.max(0, (held?.latest ?? 0) - now) })
  }

  /**
   * Whether the lane may send one message now. If not, it waits for the slot that it is given here.
   * @param resting devices whose slots were taken back in this claim
   */
  function takeSlot(lane: DueLane, pace: Pace, now: number, resting: Set<string>): boolean {
    if (lane.hasSlot && !resting.has(lane.deviceRowId)) {
      // Late slots may catch up, but with no more than a burst at once.
      if (now - lane.dueAt <= pace.burst * pace.intervalMs) return true
      takeSlotsBack(lane.deviceRowId, pace, now)
      resting.add(lane.deviceRowId)
    }
    const restAt = paceOfDevice.get({ deviceRowId: lane.deviceRowId })?.restAt ?? 0
    const slot = nextSlot(pace, restAt, now)
    setPace.run({ deviceRowId: lane.deviceRowId, restAt: slot.restAt })
    if (slot.at <= now) return true
    giveSlot.run({ lane: lane.lane, dueAt: slot.at })
    return false
  }

  /** Inside a transaction. @returns the file, if it has one that may go now */
  function releaseFile(mediaId: string | null): string[] {
    if (mediaId === null || stillNeeded.get({ mediaId })) return []
    orm.delete(media).where(eq(media.id, mediaId)).run()
    return [mediaId]
  }

  function find(identityId: string, id: string): MessageWithDevice | null {
    return (
      withDevice()
        .where(and(eq(messages.identityId, identityId), eq(messages.id, id)))
        .get() ?? null
    )
  }

  function withDevice() {
    return orm
      .select({ message: messages, platform: devices.platform, deviceId: devices.deviceId })
      .from(messages)
      .innerJoin(devices, eq(devices.id, messages.deviceRowId))
  }

  /** No try tells of it. */
  function noteExpired({ id, deviceRowId, createdAt }: Message, now: number): void {
    const outcome = { messageId: id, deviceRowId, status: 'failed' as const, ageMs: now - createdAt }
    committer.afterCommit(() => observer?.messageSettled(outcome))
  }

  return {
    accept: (rows, file, now, onStored) =>
      committer.write(() => {
        if (file) {
          orm
            .insert(media)
            .values({ ...file, createdAt: now, updatedAt: now })
            .run()
        }
        for (const row of rows) {
          insertMessage.run({ ...row, now })
          openLane.run({ lane: row.lane, deviceRowId: row.deviceRowId, now })
        }
        onStored?.()
      }),

    claim: ({ leaseId, now, leaseMs, maxLanes, maxMessagesPerLane, paceOf }) =>
      committer.write(() => {
        const claimed: ClaimedLane[] = []
        const resting = new Set<string>()
        for (const due of dueLanes.all({ now, limit: maxLanes })) {
          const pace = paceOf(due.platform)
          const isPaced = pace.intervalMs > 0
          // A slot is for a message: a lane with none waiting must not take one.
          if (isPaced && anyWaiting.get({ lane: due.lane }) && !takeSlot(due, pace, now, resting)) continue
          const messages = startSending.all({ lane: due.lane, limit: isPaced ? 1 : maxMessagesPerLane, now })
          if (messages.length === 0) {
            closeLane.run({ lane: due.lane })
            continue
          }
          lease.run({ lane: due.lane, leaseId, until: now + leaseMs })
          claimed.push({
            lane: due.lane,
            platform: due.platform,
            leaseId,
            messages: messages.sort(oldestFirst),
          })
        }
        return claimed
      }),

    settle: (message, settlement, now) =>
      committer.write(() => {
        const { seq } = message
        switch (settlement.outcome) {
          case 'submitted':
            return statuses.submitted(message, settlement, now)
          case 'failed':
            return statuses.ended(message, 'failed', settlement.reason, now)
          case 'retry':
            statuses.waits(seq, settlement.reason, now)
            return false
        }
      }),

    settleSilent: (before, limit, now) => committer.write(() => statuses.settleSilent(before, limit, now)),

    release: ({ lane, leaseId, messages: claimed }, dueAt) =>
      committer.write(() => {
        if (!anyWaiting.get({ lane })) {
          closeLane.run({ lane })
          return
        }
        // Claimed with the others, but not tried.
        requeue.run({ lane, last: claimed.at(-1)?.seq ?? 0 })
        returnLane.run({ lane, leaseId, dueAt })
      }),

    wake: (deviceRowId, now) =>
      committer.write(() => {
        orm
          .update(outboxLanes)
          .set({ dueAt: now })
          .where(
            and(
              eq(outboxLanes.deviceRowId, deviceRowId),
              isNull(outboxLanes.leaseId),
              eq(outboxLanes.hasSlot, false),
              gt(outboxLanes.dueAt, now),
            ),
          )
          .run()
      }),

    nextDueAt: async () => earliest.get()?.dueAt ?? null,

    releaseAbandoned: now =>
      committer.write(() => {
        orm
          .update(outboxLanes)
          .set({ leaseId: null, dueAt: now })
          .where(sql`${outboxLanes.leaseId} is not null`)
          .run()
      }),

    get: async (identityId, id) => find(identityId, id),

    cancel: (identityId, id, now) =>
      committer.write(() => {
        const found = find(identityId, id)
        if (!found) return null
        const { message } = found
        // What is claimed is `sending`: nobody holds a message that is queued.
        if (message.status !== 'queued') return { found, cancelled: false, deliveries: false, unneeded: [] }
        const deliveries = statuses.ended(message, 'cancelled', null, now)
        const changed = { ...message, status: 'cancelled' as const, reason: null, updatedAt: now }
        return {
          found: { ...found, message: changed },
          cancelled: true,
          deliveries,
          unneeded: releaseFile(message.mediaId),
        }
      }),

    expire: (now, limit) =>
      committer.write(() => {
        const ended: Ended = { deliveries: false, unneeded: [] }
        const found = expired.all({ now, limit })
        for (const message of found) {
          ended.deliveries =
            statuses.ended(message, 'failed', expiredReason(message), now) || ended.deliveries
          noteExpired(message, now)
          ended.unneeded.push(...releaseFile(message.mediaId))
        }
        return { count: found.length, ...ended }
      }),

    deviceQueue: async deviceRowId => ({
      restAt: paceOfDevice.get({ deviceRowId })?.restAt ?? 0,
      lanes: queueOfDevice
        .all({ ...lanesFromTo(deviceRowId), limit: MAX_LANES_LOOKED_AT })
        .map(({ leaseId, ...lane }) => ({ ...lane, leased: leaseId !== null })),
    }),

    async placesInLane(queued) {
      const places = new Map<number, number>()
      for (const [lane, own] of Map.groupBy(queued, message => message.lane)) {
        let from = 0
        let place = 0
        // From one to the next, so that what waits before all of them is counted once.
        for (const { seq } of own.toSorted((one, other) => one.seq - other.seq)) {
          place += waitingBetween.get({ lane, from, before: seq })?.count ?? 0
          places.set(seq, place)
          from = seq
        }
      }
      return places
    },

    waiting: async () => new Map(waitingByIdentity.all().map(({ identityId, count }) => [identityId, count])),

    async list(identityId, limit, before) {
      const own = eq(messages.identityId, identityId)
      const start = before
        ? orm
            .select({ seq: messages.seq })
            .from(messages)
            .where(and(own, eq(messages.id, before)))
            .get()
        : undefined
      if (before && !start) return null
      const older = start && lt(messages.seq, start.seq)
      return withDevice().where(and(own, older)).orderBy(desc(messages.seq)).limit(limit).all()
    },

    resolvedRoom: async (deviceRowId, recipientKey) =>
      resolved.get({ deviceRowId, recipientKey })?.roomId ?? null,

    rememberRoom: (deviceRowId, recipientKey, roomId, now) =>
      committer.write(() => {
        orm
          .insert(resolvedRecipients)
          .values({ deviceRowId, recipientKey, roomId, resolvedAt: now })
          .onConflictDoUpdate({
            target: [resolvedRecipients.deviceRowId, resolvedRecipients.recipientKey],
            set: { roomId, resolvedAt: now },
          })
          .run()
      }),

    forgetRoom: (deviceRowId, roomId) =>
      committer.write(() => {
        const ofRoom = and(
          eq(resolvedRecipients.deviceRowId, deviceRowId),
          eq(resolvedRecipients.roomId, roomId),
        )
        orm.delete(resolvedRecipients).where(ofRoom).run()
      }),
  }
}

interface DueLane {
  lane: string
  deviceRowId: string
  hasSlot: boolean
  dueAt: number
}

/** The names of a device's lanes are from the first up to the second: `0` follows the slash. */
function lanesFromTo(deviceRowId: string): { from: string; to: string } {
  return { from: `${deviceRowId}/`, to: `${deviceRowId}0` }
}

function oldestFirst(one: Message, other: Message): number {
  return one.seq - other.seq
}
