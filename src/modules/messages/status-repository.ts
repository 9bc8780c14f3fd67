/**
 * SQL of what becomes of a message: the one place where a status climbs, for the outbox and the inbox alike, together with the event that
 * tells of it to webhooks that ask. A message that the network didn't take and may take later goes back into its lane, and is sent as a
 * new event: the old one stays failed at the bridge.
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { chats, devices, ghostPhones, type Message, messages } from '../../db/schema/index.ts'
import { ONE, textParam } from '../../db/stable-params.ts'
import type { Observer } from '../../domain/observation.ts'
import type { MessageStatus } from '../../domain/states.ts'
import type { Backlog } from './backlog.ts'
import { createCaptions, PLACE, REASON_OR_CAPTIONS, type SentCaption } from './caption-repository.ts'
import { createEarlyStatuses } from './early-status-repository.ts'
import { climbs } from './ladder.ts'
import { createResender, type Resent } from './resend-repository.ts'
import { createStatusTeller } from './status-event-repository.ts'

/** What the bridge says of an event: `queued` that it is to be sent again. */
export interface StatusReport {
  eventId: string
  /** Who says so: only the bot of the chat's bridge is believed. */
  sender: string
  status: MessageStatus
  reason: string | null
}

/** Somebody has read everything in a room up to an event. */
export interface ReadReport {
  roomId: string
  eventId: string
  userId: string
}

/**
 * Its functions are to be called inside a transaction. Those that return a boolean say whether there is something to deliver.
 */
export interface StatusWriter {
  /**
   * The homeserver took it, and its caption if that went by itself; the bridge's reports from
   * meanwhile count at once.
   * @param bridgeBot of the chat, null when that isn't known: then no report is believed
   */
  submitted(
    message: Message,
    at: { eventId: string; roomId: string; bridgeBot: string | null; caption?: SentCaption | undefined },
    now: number,
  ): boolean
  /** It waited, and never will be handed over. */
  ended(message: Waiting, status: 'failed' | 'cancelled', reason: string | null, now: number): boolean
  /** It couldn't be handed over for now. @param refusedSince as the column says */
  waits(seq: number, reason: string, refusedSince: number | null, now: number): void
  /** A report of an event we don't know is kept: the homeserver can be faster than our own commit. */
  report(report: StatusReport, now: number): boolean
  read(receipt: ReadReport, now: number): boolean
  /** Nobody has said anything about a message that was handed over: it counts as sent. */
  stayedSilent(
    message: Pick<Message, 'seq' | 'id' | 'identityId' | 'deviceRowId' | 'createdAt'>,
    now: number,
  ): boolean
}

/** What is needed of a message that waits to end it. */
export type Waiting = Pick<Message, 'seq' | 'identityId'>

/** The reason of a message that counts as sent because its bridge says nothing. */
const STATUS_TIMEOUT = 'status_timeout'

export function createStatusWriter(
  db: Db,
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
): StatusWriter {
  const { orm, committer } = db
  const param = sql.placeholder
  const tell = createStatusTeller(db)
  const early = createEarlyStatuses(db)
  const captions = createCaptions(db)
  const resend = createResender(db)

  // One statement finds all that a report has to do with. Subqueries, as a join costs fifteen times what they do even for a single row.
  const byEvent = orm
    .select({
      seq: messages.seq,
      place: PLACE,
      id: messages.id,
      identityId: messages.identityId,
      lane: messages.lane,
      deviceRowId: messages.deviceRowId,
      status: messages.status,
      reason: messages.reason,
      resends: messages.resends,
      roomId: messages.roomId,
      createdAt: messages.createdAt,
      bridgeBot: sql<string | null>`(select bridge_bot from chats
        where chats.identity_id = messages.identity_id and chats.room_id = messages.room_id)`,
      ownGhost: sql<
        string | null
      >`(select ghost_user_id from devices where devices.id = messages.device_row_id)`,
    })
    .from(messages)
    .where(eq(messages.eventId, param('eventId')))
    .prepare()
  type Target = NonNullable<ReturnType<typeof byEvent.get>>
  const ownByNumber = orm
    .select({ id: devices.id })
    .from(ghostPhones)
    .innerJoin(devices, and(eq(devices.id, ghostPhones.deviceRowId), eq(devices.phone, ghostPhones.phone)))
    .where(
      and(
        eq(ghostPhones.matrixUserId, textParam('userId')),
        eq(ghostPhones.deviceRowId, textParam('deviceRowId')),
      ),
    )
    .prepare()
  const markSubmitted = orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: REASON_OR_CAPTIONS,
      eventId: sql`${param('eventId')}`,
      roomId: sql`${param('roomId')}`,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq')))
    .prepare()
  const setStatus = orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: REASON_OR_CAPTIONS,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq')))
    .prepare()
  const markWaiting = orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      failingSince: sql`coalesce(${messages.failingSince}, ${param('now')})`,
      refusedSince: sql`${param('refusedSince')}`,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq')))
    .prepare()
  // What the bridge hasn't spoken of yet may still come to nothing, whatever came after it was read: only the message of the receipt itself is
  // known to have arrived. The statuses are spelled out, as a partial index is found by its text.
  const markRead = orm
    .update(messages)
    .set({ status: 'read', reason: REASON_OR_CAPTIONS, updatedAt: sql`${param('now')}` })
    .where(
      sql`${messages.roomId} = ${param('roomId')} and ${messages.seq} <= ${param('place')} and ${messages.status} in ('submitted', 'sent', 'delivered')
        and (${messages.status} <> 'submitted' or ${messages.seq} = ${param('seq')})`,
    )
    .returning({ seq: messages.seq, identityId: messages.identityId })
    .prepare()
  const botOfRoom = orm
    .select({ bridgeBot: chats.bridgeBot })
    .from(chats)
    .where(eq(chats.roomId, param('roomId')))
    .limit(ONE)
    .prepare()
  /** The message had been handed over, and now something is known of it. */
  function noteOutcome(
    { id, deviceRowId, createdAt }: Pick<Message, 'id' | 'deviceRowId' | 'createdAt'>,
    status: MessageStatus,
    now: number,
  ): void {
    if (!observer) return
    const outcome = { messageId: id, deviceRowId, status, ageMs: now - createdAt }
    committer.afterCommit(() => observer.messageSettled(outcome))
  }

  function enter(
    message: Pick<Message, 'seq' | 'identityId'>,
    status: MessageStatus,
    reason: string | null,
    now: number,
  ): boolean {
    setStatus.run({ seq: message.seq, status, reason, now })
    return tellOf(message, status, now)
  }

  /** That its caption failed is told of the message. */
  function tellOf(message: Pick<Message, 'seq' | 'identityId'>, status: MessageStatus, now: number): boolean {
    const captioned = status === 'failed' ? captions.passOn(message.seq) : null
    return tell(captioned ?? message, now)
  }

  /** The message waits no more, once that is on disk. */
  function noteLeft({ identityId }: Waiting): void {
    committer.afterCommit(() => backlog?.leave(identityId, 1))
  }

  /** Queues the message again, or fails it when it was sent often enough. @returns whether it waits */
  function requeue(message: Resent, reason: string | null, now: number): boolean {
    const waits = resend(message, reason, now)
    if (!waits) setStatus.run({ seq: message.seq, status: 'failed', reason, now })
    return waits
  }

  /** The caption that went behind a message. @returns whether there is something to deliver */
  function addCaption(
    message: Message,
    { roomId, bridgeBot, caption }: { roomId: string; bridgeBot: string | null; caption: SentCaption },
    now: number,
  ): boolean {
    const added = captions.add(message, roomId, caption, now)
    if (!added) return false
    if ('failed' in caption) return tellOf(added, 'failed', now)
    const said = early.take(caption.eventId, bridgeBot)
    const target = { ...added, place: message.seq, bridgeBot, ownGhost: null }
    return said !== null && apply(target, said, now)
  }

  /** True when the account itself has read it, by whichever of its Matrix users. */
  function isOwn({ deviceRowId, ownGhost }: Target, userId: string): boolean {
    return userId === ownGhost || ownByNumber.get({ deviceRowId, userId }) !== undefined
  }

  function apply(
    message: Target,
    { status, reason }: Pick<StatusReport, 'status' | 'reason'>,
    now: number,
  ): boolean {
    if (status === 'queued') {
      // A message that has arrived, or that failed for good, isn't sent again whatever a late report says.
      if (message.status !== 'submitted' && message.status !== 'sent') return false
      const { identityId } = message
      const waits = requeue(message, reason, now)
      if (waits) committer.afterCommit(() => backlog?.requeue(identityId))
      return tellOf(message, waits ? 'queued' : 'failed', now)
    }
    // The word that had been missing is no new rung.
    if (message.status === 'sent' && status === 'sent' && message.reason !== reason) {
      setStatus.run({ seq: message.seq, status, reason, now })
      return false
    }
    if (!climbs(message.status, status)) return false
    if (message.status === 'submitted') noteOutcome(message, status, now)
    return enter(message, status, reason, now)
  }

  return {
    submitted(message, { eventId, roomId, bridgeBot, caption }, now) {
      const { seq } = message
      const said = early.take(eventId, bridgeBot)
      const withCaption = () =>
        caption !== undefined && addCaption(message, { roomId, bridgeBot, caption }, now)
      if (said?.status === 'queued') {
        const waits = requeue(message, said.reason, now)
        if (!waits) noteLeft(message)
        const deliveries = tellOf(message, waits ? 'queued' : 'failed', now)
        return withCaption() || deliveries
      }
      const { status, reason } = said ?? { status: 'submitted' as const, reason: null }
      markSubmitted.run({ seq, status, reason, eventId, roomId, now })
      noteLeft(message)
      if (said) noteOutcome(message, status, now)
      const deliveries = said !== null && tellOf(message, status, now)
      return withCaption() || deliveries
    },

    ended(message, status, reason, now) {
      noteLeft(message)
      return enter(message, status, reason, now)
    },

    waits(seq, reason, refusedSince, now) {
      markWaiting.run({ seq, reason, refusedSince, now })
    },

    report(report, now) {
      const message = byEvent.get({ eventId: report.eventId })
      if (message) return report.sender === message.bridgeBot && apply(message, report, now)
      early.keep(report, now)
      return false
    },

    read({ roomId, eventId, userId }, now) {
      const message = byEvent.get({ eventId })
      if (!message) {
        const isBot = botOfRoom.get({ roomId })?.bridgeBot === userId
        const said = isBot
          ? { sender: userId, status: 'sent' as const }
          : { sender: '', status: 'read' as const }
        early.keep({ eventId, ...said, reason: null }, now)
        return false
      }
      if (message.roomId !== roomId || isOwn(message, userId)) return false
      // A bridge with `delivery_receipts` marks so what it has handed over to the network.
      if (userId === message.bridgeBot) return apply(message, { status: 'sent', reason: null }, now)
      if (message.status === 'submitted') noteOutcome(message, 'read', now)
      const { seq, place } = message
      // A message accepted before a caption went stands before its row, and is behind it in the chat.
      if (place < seq && climbs(message.status, 'read'))
        setStatus.run({ seq, status: 'read', reason: null, now })
      let deliveries = false
      for (const read of markRead.all({ roomId, place, seq, reason: null, now }))
        deliveries = tell(read, now) || deliveries
      return deliveries
    },

    stayedSilent(message, now) {
      noteOutcome(message, 'sent', now)
      return enter(message, 'sent', STATUS_TIMEOUT, now)
    },
  }
}
