/**
 * SQL of what becomes of a message or an act: the one place where its status changes, for the
 * outbox and for receiving alike, with the event that webhooks and readers of the feed get. One
 * that the network may take later goes back into its lane and is sent as a new event; the old one
 * stays failed at the bridge. An act ends at `sent`: nobody reads it.
 */
import { eq, sql } from 'drizzle-orm'
import { type Message, messages } from '../../../db/schema/index.ts'
import { statement } from '../../../db/statement.ts'
import type { Tx } from '../../../db/transaction.ts'
import type { Observer } from '../../../domain/observation.ts'
import type { MessageStatus } from '../../../domain/states.ts'
import { type SentAt, writeSent } from '../../history/sent-message.ts'
import { actTaken, isTargetSentAgain } from '../act-repository.ts'
import { addCaption, REASON_OR_CAPTIONS, type SentCaption } from '../content/caption-repository.ts'
import type { Backlog } from '../limits.ts'
import { waitsSince } from '../message-repository.ts'
import { type Resent, resend } from '../queue/lane-repository.ts'
import {
  advances,
  isOwn,
  keepUnmatched,
  keepUnmatchedRead,
  messageOfEvent,
  type ReadReport,
  type Reported,
  type StatusReport,
  type StatusWord,
  takeUnmatched,
} from './report-repository.ts'
import { announce } from './status-event-repository.ts'

/** Where a message was handed over. */
export interface HandedOverAt extends SentAt {
  /** Null when it isn't known: then no report is believed. */
  bridgeBot: string | null
  caption?: SentCaption | undefined
}

/** Identifies a message that waits, so that it can be ended. */
export type Waiting = Pick<Message, 'seq' | 'identityId' | 'act'>

type Settled = Pick<Message, 'id' | 'deviceRowId' | 'createdAt' | 'sendAt'>

/** The reason of a message that counts as sent because its bridge says nothing. */
const STATUS_TIMEOUT = 'status_timeout'
const ROOM_CLOSED = 'the chat moved to another room before the message was taken'

const param = sql.placeholder
const isMessage = eq(messages.seq, param('seq'))
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
    .where(isMessage),
)
const setStatus = statement(orm =>
  orm
    .update(messages)
    .set({
      status: sql`${param('status')}`,
      reason: REASON_OR_CAPTIONS,
      updatedAt: sql`${param('now')}`,
    })
    .where(isMessage),
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
    .where(isMessage),
)
const markHeld = statement(orm =>
  orm
    .update(messages)
    .set({
      status: 'queued',
      reason: sql`${param('reason')}`,
      attempts: sql`${messages.attempts} - 1`,
      failingSince: null,
      refusedSince: null,
      updatedAt: sql`${param('now')}`,
    })
    .where(isMessage),
)
// A message that the bridge hasn't spoken of yet may still fail, whatever came after it was read:
// only the message of the receipt itself is known to have arrived. The statuses are spelled out, as
// a partial index is found by its text. Whoever reads a chat has read what was sent in the rooms
// from which it moved.
const markRead = statement(orm =>
  orm
    .update(messages)
    .set({ status: 'read', reason: REASON_OR_CAPTIONS, updatedAt: sql`${param('now')}` })
    .where(
      sql`${messages.roomId} in (select ${param('roomId')} union all
          select room_id from chats where moved_to = ${param('roomId')} and moved_to is not null)
        and ${messages.seq} <= ${param('place')} and ${messages.status} in ('submitted', 'sent', 'delivered')
        and ${messages.act} is null
        and (${messages.status} <> 'submitted' or ${messages.seq} = ${param('seq')})`,
    )
    .returning({ seq: messages.seq, identityId: messages.identityId }),
)
export type StatusWriter = ReturnType<typeof createStatusWriter>

export function createStatusWriter(
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
) {
  /** The message had been handed over, and now something is known of it. */
  function observe(tx: Tx, message: Settled, status: MessageStatus, now: number): void {
    if (!observer) return
    const { id, deviceRowId } = message
    const outcome = { messageId: id, deviceRowId, status, ageMs: now - waitsSince(message) }
    tx.afterCommit(() => observer.messageSettled(outcome))
  }

  function leave(tx: Tx, { identityId }: Waiting): void {
    tx.afterCommit(() => backlog?.leave(identityId, 1))
  }

  async function giveBack(
    tx: Tx,
    message: Waiting & Resent,
    reason: string | null,
    atOnce: boolean,
    now: number,
  ): Promise<void> {
    const waits = await sendAgain(tx, message, reason, atOnce, now)
    if (waits) tx.afterCommit(() => backlog?.requeue(message.identityId))
  }

  async function apply(tx: Tx, message: Reported, word: StatusWord, now: number): Promise<void> {
    const { status, reason } = await endOf(tx, message, word)
    if (status === 'queued') {
      // A message that has arrived, or failed for good, isn't sent again by a late report.
      if (message.status !== 'submitted' && message.status !== 'sent') return
      return giveBack(tx, message, reason, false, now)
    }
    // A report that comes after the time-out takes that back as the reason.
    if (message.status === 'sent' && status === 'sent' && message.reason !== reason)
      return tx.run(setStatus, { seq: message.seq, status, reason, now })
    if (!advances(message.status, status)) return
    if (message.status === 'submitted') observe(tx, message, status, now)
    await change(tx, message, status, reason, now)
  }

  async function captionSent(
    tx: Tx,
    message: Message,
    caption: SentCaption,
    { roomId, bridgeBot }: HandedOverAt,
    now: number,
  ): Promise<void> {
    const added = await addCaption(tx, message, roomId, caption, now)
    if (!added) return
    if ('failed' in caption) return announce(tx, added, 'failed', now)
    const word = await takeUnmatched(tx, caption.eventId, bridgeBot)
    if (word) await apply(tx, { ...added, place: message.seq, bridgeBot, ownGhost: null }, word, now)
  }

  return {
    /**
     * The homeserver took the message, and its caption if that went by itself; the bridge's reports
     * from meanwhile count at once.
     */
    async submitted(tx: Tx, message: Message, at: HandedOverAt, now: number): Promise<void> {
      const { eventId, roomId, bridgeBot, caption } = at
      const unmatched = await takeUnmatched(tx, eventId, bridgeBot)
      const word = unmatched && (await endOf(tx, message, unmatched))
      if (word?.status === 'queued') {
        if (!(await sendAgain(tx, message, word.reason, false, now))) leave(tx, message)
      } else {
        const { status, reason } = word ?? { status: 'submitted' as const, reason: null }
        await tx.run(markSubmitted, { seq: message.seq, status, reason, eventId, roomId, now })
        if (message.act === null) await writeSent(tx, message, at, now)
        leave(tx, message)
        if (word) {
          observe(tx, message, status, now)
          await became(tx, message, status, now)
        }
      }
      if (caption) await captionSent(tx, message, caption, at, now)
    },

    /** The act is done: no bridge will say anything of it. */
    async done(tx: Tx, act: Waiting & Settled, now: number): Promise<void> {
      leave(tx, act)
      observe(tx, act, 'sent', now)
      await change(tx, act, 'sent', null, now)
    },

    /** The message was tried, and never will be handed over. */
    failed(tx: Tx, message: Waiting, reason: string, now: number): Promise<void> {
      leave(tx, message)
      return change(tx, message, 'failed', reason, now)
    },

    /** A message that waited ends without a try. */
    endedUntried(
      tx: Tx,
      message: Message,
      status: 'failed' | 'cancelled',
      reason: string | null,
      now: number,
    ): Promise<void> {
      leave(tx, message)
      observe(tx, message, status, now)
      return change(tx, message, status, reason, now)
    },

    /**
     * The message couldn't be handed over for now.
     * @param refused with the columns `reason` and `refusedSince`
     */
    waits: (tx: Tx, seq: number, refused: Pick<Message, 'reason' | 'refusedSince'>, now: number) =>
      tx.run(markWaiting, { seq, reason: refused.reason, refusedSince: refused.refusedSince, now }),

    /** The message may not be sent yet: it waits as if it hadn't been tried. */
    held: (tx: Tx, seq: number, reason: string, now: number) => tx.run(markHeld, { seq, reason, now }),

    async report(tx: Tx, report: StatusReport, now: number): Promise<void> {
      const message = await tx.get(messageOfEvent, { eventId: report.eventId })
      if (!message) await keepUnmatched(tx, report, now)
      else if (report.sender === message.bridgeBot) await apply(tx, message, report, now)
    },

    async read(tx: Tx, receipt: ReadReport, now: number): Promise<void> {
      const { roomId, userId } = receipt
      const message = await tx.get(messageOfEvent, { eventId: receipt.eventId })
      if (!message) return keepUnmatchedRead(tx, receipt, now)
      if (message.roomId !== roomId || (await isOwn(tx, message, userId))) return
      // A bridge with `delivery_receipts` marks so what it has handed over to the network.
      if (userId === message.bridgeBot) return apply(tx, message, { status: 'sent', reason: null }, now)
      if (message.status === 'submitted' && message.act === null) observe(tx, message, 'read', now)
      const { seq, place } = message
      // A message accepted before a caption went is before its row, and behind it in the chat.
      if (place < seq && advances(message.status, 'read'))
        await tx.run(setStatus, { seq, status: 'read', reason: null, now })
      for (const read of await tx.all(markRead, { roomId, place, seq, reason: null, now }))
        await announce(tx, { ...read, act: null }, 'read', now)
    },

    /** Nobody has said anything about a message that was handed over: it counts as sent. */
    stayedSilent(tx: Tx, message: Waiting & Settled, now: number): Promise<void> {
      observe(tx, message, 'sent', now)
      return change(tx, message, 'sent', STATUS_TIMEOUT, now)
    },

    /** The bridge left the message's room while it was handed over there, and will say nothing. */
    closedOut: (tx: Tx, message: Waiting & Resent, now: number) =>
      giveBack(tx, message, ROOM_CLOSED, true, now),
  }
}

async function change(
  tx: Tx,
  message: Waiting,
  status: MessageStatus,
  reason: string | null,
  now: number,
): Promise<void> {
  await tx.run(setStatus, { seq: message.seq, status, reason, now })
  await became(tx, message, status, now)
}

async function became(tx: Tx, message: Waiting, status: MessageStatus, now: number): Promise<void> {
  if (message.act !== null && status === 'sent') await actTaken(tx, message.seq, now)
  await announce(tx, message, status, now)
}

/**
 * Nobody reads an act, whatever is said of it. One that fails because its message was sent back
 * goes again, behind that.
 */
async function endOf(
  tx: Tx,
  { seq, act }: Pick<Message, 'seq' | 'act'>,
  word: StatusWord,
): Promise<StatusWord> {
  if (act === null) return word
  if (word.status === 'failed' && (await isTargetSentAgain(tx, seq))) return { ...word, status: 'queued' }
  return word.status === 'delivered' || word.status === 'read' ? { ...word, status: 'sent' } : word
}

/**
 * Queues the message again, or fails it when it was sent often enough.
 * @returns true when it waits
 */
async function sendAgain(
  tx: Tx,
  message: Resent & Waiting,
  reason: string | null,
  atOnce: boolean,
  now: number,
): Promise<boolean> {
  const waits = await resend(tx, message, reason, atOnce, now)
  if (!waits) await tx.run(setStatus, { seq: message.seq, status: 'failed', reason, now })
  await announce(tx, message, waits ? 'queued' : 'failed', now)
  return waits
}
