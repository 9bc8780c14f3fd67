/**
 * SQL of what becomes of a message: the one place where a status climbs, for the outbox and the inbox alike, together with the event that
 * tells of it to webhooks that ask. A message that the network didn't take and may take later goes back into its lane, and is sent as a
 * new event: the old one stays failed at the bridge.
 */
import { and, eq, sql } from 'drizzle-orm'
import {
  chats,
  devices,
  ghostPhones,
  type Message,
  messages,
  type UnmatchedStatus,
  unmatchedStatuses,
} from '../../db/schema/index.ts'
import { ONE, textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Tx } from '../../db/transaction.ts'
import type { Observer } from '../../domain/observation.ts'
import { MESSAGE_STATUSES, type MessageStatus } from '../../domain/states.ts'
import type { Backlog } from './backlog.ts'
import {
  addCaption,
  PLACE,
  passFailureOn,
  REASON_OR_CAPTIONS,
  type SentCaption,
} from './caption-repository.ts'
import { type Resent, resend } from './lane-repository.ts'
import { tellStatus } from './status-event-repository.ts'

/** A bridge's word about an event; `queued` asks to send it again. */
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

export interface StatusWriter {
  /**
   * The homeserver took it, and its caption if that went by itself; the bridge's reports from
   * meanwhile count at once.
   * @param bridgeBot of the chat, null when that isn't known: then no report is believed
   */
  submitted(
    tx: Tx,
    message: Message,
    at: { eventId: string; roomId: string; bridgeBot: string | null; caption?: SentCaption | undefined },
    now: number,
  ): Promise<void>
  /** It waited, and never will be handed over. */
  ended(
    tx: Tx,
    message: Waiting,
    status: 'failed' | 'cancelled',
    reason: string | null,
    now: number,
  ): Promise<void>
  /** It couldn't be handed over for now. @param refusedSince as the column says */
  waits(tx: Tx, seq: number, reason: string, refusedSince: number | null, now: number): Promise<void>
  /** A report of an event we don't know is kept: the homeserver can be faster than our own commit. */
  report(tx: Tx, report: StatusReport, now: number): Promise<void>
  read(tx: Tx, receipt: ReadReport, now: number): Promise<void>
  /** Nobody has said anything about a message that was handed over: it counts as sent. */
  stayedSilent(
    tx: Tx,
    message: Pick<Message, 'seq' | 'id' | 'identityId' | 'deviceRowId' | 'createdAt'>,
    now: number,
  ): Promise<void>
}

/** Identifies a message that waits, so that it can be ended. */
export type Waiting = Pick<Message, 'seq' | 'identityId'>

/** A message that a report is about. */
type Target = Pick<
  Message,
  | 'seq'
  | 'id'
  | 'identityId'
  | 'lane'
  | 'deviceRowId'
  | 'status'
  | 'reason'
  | 'resends'
  | 'roomId'
  | 'createdAt'
> & { place: number; bridgeBot: string | null; ownGhost: string | null }

/** The reason of a message that counts as sent because its bridge says nothing. */
const STATUS_TIMEOUT = 'status_timeout'

const param = sql.placeholder

// One statement finds all that a report has to do with. Subqueries, as a join costs fifteen times
// as much even for a single row.
const byEvent = statement(orm =>
  orm
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
    .where(eq(messages.eventId, param('eventId'))),
)
const ownByNumber = statement(orm =>
  orm
    .select({ id: devices.id })
    .from(ghostPhones)
    .innerJoin(devices, and(eq(devices.id, ghostPhones.deviceRowId), eq(devices.phone, ghostPhones.phone)))
    .where(
      and(
        eq(ghostPhones.matrixUserId, textParam('userId')),
        eq(ghostPhones.deviceRowId, textParam('deviceRowId')),
      ),
    ),
)
const markSubmitted = statement(orm =>
  orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: REASON_OR_CAPTIONS,
      eventId: sql`${param('eventId')}`,
      roomId: sql`${param('roomId')}`,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq'))),
)
const setStatus = statement(orm =>
  orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: REASON_OR_CAPTIONS,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq'))),
)
const markWaiting = statement(orm =>
  orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      failingSince: sql`coalesce(${messages.failingSince}, ${param('now')})`,
      refusedSince: sql`${param('refusedSince')}`,
      updatedAt: sql`${param('now')}`,
    })
    .where(eq(messages.seq, param('seq'))),
)
// A message that the bridge hasn't spoken of yet may still fail, whatever came after it was read:
// only the message of the receipt itself is known to have arrived. The statuses are spelled out, as
// a partial index is found by its text.
const markRead = statement(orm =>
  orm
    .update(messages)
    .set({ status: 'read', reason: REASON_OR_CAPTIONS, updatedAt: sql`${param('now')}` })
    .where(
      sql`${messages.roomId} = ${param('roomId')} and ${messages.seq} <= ${param('place')} and ${messages.status} in ('submitted', 'sent', 'delivered')
        and (${messages.status} <> 'submitted' or ${messages.seq} = ${param('seq')})`,
    )
    .returning({ seq: messages.seq, identityId: messages.identityId }),
)
const botOfRoom = statement(orm =>
  orm
    .select({ bridgeBot: chats.bridgeBot })
    .from(chats)
    .where(eq(chats.roomId, param('roomId')))
    .limit(ONE),
)

const keepUnmatched = statement(orm =>
  orm
    .insert(unmatchedStatuses)
    .values({
      eventId: param('eventId'),
      sender: param('sender'),
      status: param('status'),
      reason: param('reason'),
      receivedAt: param('now'),
    })
    .onConflictDoNothing(),
)
const unmatchedOf = statement(orm =>
  orm
    .select()
    .from(unmatchedStatuses)
    .where(eq(unmatchedStatuses.eventId, param('eventId'))),
)
const dropUnmatched = statement(orm =>
  orm.delete(unmatchedStatuses).where(eq(unmatchedStatuses.eventId, param('eventId'))),
)

export function createStatusWriter(
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
): StatusWriter {
  /** The message had been handed over, and now something is known of it. */
  function noteOutcome(
    tx: Tx,
    { id, deviceRowId, createdAt }: Pick<Message, 'id' | 'deviceRowId' | 'createdAt'>,
    status: MessageStatus,
    now: number,
  ): void {
    if (!observer) return
    const outcome = { messageId: id, deviceRowId, status, ageMs: now - createdAt }
    tx.afterCommit(() => observer.messageSettled(outcome))
  }

  function noteLeft(tx: Tx, { identityId }: Waiting): void {
    tx.afterCommit(() => backlog?.leave(identityId, 1))
  }

  async function apply(
    tx: Tx,
    message: Target,
    { status, reason }: Pick<StatusReport, 'status' | 'reason'>,
    now: number,
  ): Promise<void> {
    if (status === 'queued') {
      // A message that has arrived, or that failed for good, isn't sent again whatever a late report says.
      if (message.status !== 'submitted' && message.status !== 'sent') return
      const waits = await requeue(tx, message, reason, now)
      if (waits) tx.afterCommit(() => backlog?.requeue(message.identityId))
      return tellOf(tx, message, waits ? 'queued' : 'failed', now)
    }
    // The word that had been missing is no new rung.
    if (message.status === 'sent' && status === 'sent' && message.reason !== reason)
      return tx.run(setStatus, { seq: message.seq, status, reason, now })
    if (!advances(message.status, status)) return
    if (message.status === 'submitted') noteOutcome(tx, message, status, now)
    await enter(tx, message, status, reason, now)
  }

  /** The caption that went behind a message. */
  async function captionSent(
    tx: Tx,
    message: Message,
    { roomId, bridgeBot, caption }: { roomId: string; bridgeBot: string | null; caption: SentCaption },
    now: number,
  ): Promise<void> {
    const added = await addCaption(tx, message, roomId, caption, now)
    if (!added) return
    if ('failed' in caption) return tellOf(tx, added, 'failed', now)
    const said = await takeStatus(tx, caption.eventId, bridgeBot)
    if (said) await apply(tx, { ...added, place: message.seq, bridgeBot, ownGhost: null }, said, now)
  }

  return {
    async submitted(tx, message, { eventId, roomId, bridgeBot, caption }, now) {
      const said = await takeStatus(tx, eventId, bridgeBot)
      if (said?.status === 'queued') {
        const waits = await requeue(tx, message, said.reason, now)
        if (!waits) noteLeft(tx, message)
        await tellOf(tx, message, waits ? 'queued' : 'failed', now)
      } else {
        const { status, reason } = said ?? { status: 'submitted' as const, reason: null }
        await tx.run(markSubmitted, { seq: message.seq, status, reason, eventId, roomId, now })
        noteLeft(tx, message)
        if (said) {
          noteOutcome(tx, message, status, now)
          await tellOf(tx, message, status, now)
        }
      }
      if (caption) await captionSent(tx, message, { roomId, bridgeBot, caption }, now)
    },

    ended(tx, message, status, reason, now) {
      noteLeft(tx, message)
      return enter(tx, message, status, reason, now)
    },

    waits: (tx, seq, reason, refusedSince, now) => tx.run(markWaiting, { seq, reason, refusedSince, now }),

    async report(tx, report, now) {
      const message = await tx.get(byEvent, { eventId: report.eventId })
      if (!message) await keepStatus(tx, report, now)
      else if (report.sender === message.bridgeBot) await apply(tx, message, report, now)
    },

    async read(tx, { roomId, eventId, userId }, now) {
      const message = await tx.get(byEvent, { eventId })
      if (!message) {
        const isBot = (await tx.get(botOfRoom, { roomId }))?.bridgeBot === userId
        const said = isBot
          ? { sender: userId, status: 'sent' as const }
          : { sender: '', status: 'read' as const }
        return keepStatus(tx, { eventId, ...said, reason: null }, now)
      }
      if (message.roomId !== roomId || (await isOwn(tx, message, userId))) return
      // A bridge with `delivery_receipts` marks so what it has handed over to the network.
      if (userId === message.bridgeBot) return apply(tx, message, { status: 'sent', reason: null }, now)
      if (message.status === 'submitted') noteOutcome(tx, message, 'read', now)
      const { seq, place } = message
      // A message accepted before a caption went stands before its row, and is behind it in the chat.
      if (place < seq && advances(message.status, 'read'))
        await tx.run(setStatus, { seq, status: 'read', reason: null, now })
      for (const read of await tx.all(markRead, { roomId, place, seq, reason: null, now }))
        await tellStatus(tx, read, now)
    },

    stayedSilent(tx, message, now) {
      noteOutcome(tx, message, 'sent', now)
      return enter(tx, message, 'sent', STATUS_TIMEOUT, now)
    },
  }
}

async function enter(
  tx: Tx,
  message: Pick<Message, 'seq' | 'identityId'>,
  status: MessageStatus,
  reason: string | null,
  now: number,
): Promise<void> {
  await tx.run(setStatus, { seq: message.seq, status, reason, now })
  await tellOf(tx, message, status, now)
}

/** That its caption failed is told of the message. */
async function tellOf(
  tx: Tx,
  message: Pick<Message, 'seq' | 'identityId'>,
  status: MessageStatus,
  now: number,
): Promise<void> {
  const captioned = status === 'failed' ? await passFailureOn(tx, message.seq) : null
  await tellStatus(tx, captioned ?? message, now)
}

/** Queues the message again, or fails it when it was sent often enough. @returns whether it waits */
async function requeue(tx: Tx, message: Resent, reason: string | null, now: number): Promise<boolean> {
  const waits = await resend(tx, message, reason, now)
  if (!waits) await tx.run(setStatus, { seq: message.seq, status: 'failed', reason, now })
  return waits
}

/** True when the account itself has read it, by whichever of its Matrix users. */
async function isOwn(tx: Tx, { deviceRowId, ownGhost }: Target, userId: string): Promise<boolean> {
  return userId === ownGhost || (await tx.get(ownByNumber, { deviceRowId, userId })) !== undefined
}

function keepStatus(tx: Tx, early: Omit<UnmatchedStatus, 'receivedAt'>, now: number): Promise<void> {
  return tx.run(keepUnmatched, { ...early, now })
}

/**
 * Takes the reports of an event that is known now. Only the bot's count, and receipts, whose rows
 * have no sender.
 * @returns the report that counts, null when there is none
 */
async function takeStatus(
  tx: Tx,
  eventId: string,
  bridgeBot: string | null,
): Promise<Pick<UnmatchedStatus, 'status' | 'reason'> | null> {
  const early = await tx.all(unmatchedOf, { eventId })
  if (early.length === 0) return null
  await tx.run(dropUnmatched, { eventId })
  return early
    .filter(({ sender }) => sender === '' || sender === bridgeBot)
    .sort((one, other) => placeOf(one.status) - placeOf(other.status))
    .reduce<Pick<UnmatchedStatus, 'status' | 'reason'> | null>(
      (latest, next) =>
        latest && latest.status !== 'queued' && !advances(latest.status, next.status) ? latest : next,
      null,
    )
}

function placeOf(status: MessageStatus): number {
  return MESSAGE_STATUSES.indexOf(status)
}

/** A status only goes up the ladder; a failure ends it, unless the message has arrived. */
function advances(from: MessageStatus, to: MessageStatus): boolean {
  if (from === 'failed' || from === 'cancelled') return false
  if (to === 'failed') return from !== 'delivered' && from !== 'read'
  return placeOf(to) > placeOf(from)
}
