/**
 * SQL of what others say about our messages: which message a report is about, who may speak of it,
 * and reports of events that aren't known yet, as the homeserver can be faster than our own commit.
 */
import { and, eq, getTableColumns, sql } from 'drizzle-orm'
import { chats, devices, ghostPhones, messages, unmatchedStatuses } from '../../../db/schema/index.ts'
import { ONE, textParam } from '../../../db/stable-params.ts'
import { type Statement, statement } from '../../../db/statement.ts'
import type { Reader, Tx } from '../../../db/transaction.ts'
import { MESSAGE_STATUSES, type MessageStatus } from '../../../domain/states.ts'
import { PLACE } from '../message-repository.ts'

/** A bridge's word about an event; `queued` asks to send it again. */
export interface StatusReport extends StatusWord {
  eventId: string
  /** Only the bot of the chat's bridge is believed. Empty for a receipt. */
  sender: string
}

export interface StatusWord {
  status: MessageStatus
  reason: string | null
}

/** Somebody has read everything in a room up to an event. */
export interface ReadReport {
  roomId: string
  eventId: string
  userId: string
}

const param = sql.placeholder
const { seq, id, identityId, lane, deviceRowId, act, status, reason, resends, roomId, createdAt, sendAt } =
  getTableColumns(messages)

/**
 * One statement finds all that a report has to do with. Subqueries, as a join costs fifteen times
 * as much even for a single row.
 */
export const messageOfEvent = statement(orm =>
  orm
    .select({
      ...{ seq, id, identityId, lane, deviceRowId, act, status, reason, resends, roomId, createdAt, sendAt },
      place: PLACE,
      bridgeBot: sql<string | null>`(select bridge_bot from chats
        where chats.identity_id = messages.identity_id and chats.room_id = messages.room_id)`,
      ownGhost: sql<
        string | null
      >`(select ghost_user_id from devices where devices.id = messages.device_row_id)`,
    })
    .from(messages)
    .where(eq(messages.eventId, param('eventId'))),
)
/** A message that a report is about. */
export type Reported = typeof messageOfEvent extends Statement<infer Row> ? Row : never

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
const botOfRoom = statement(orm =>
  orm
    .select({ bridgeBot: chats.bridgeBot })
    .from(chats)
    .where(eq(chats.roomId, param('roomId')))
    .limit(ONE),
)
const insertUnmatched = statement(orm =>
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
const isOfEvent = eq(unmatchedStatuses.eventId, param('eventId'))
const unmatched = statement(orm => orm.select().from(unmatchedStatuses).where(isOfEvent))
const dropUnmatched = statement(orm => orm.delete(unmatchedStatuses).where(isOfEvent))

/** True when the account itself has read the message, by whichever of its Matrix users. */
export async function isOwn(reader: Reader, message: Reported, userId: string): Promise<boolean> {
  const { deviceRowId, ownGhost } = message
  return userId === ownGhost || (await reader.get(ownByNumber, { deviceRowId, userId })) !== undefined
}

/** Keeps what is said of an event that isn't known yet. */
export function keepUnmatched(tx: Tx, report: StatusReport, now: number): Promise<void> {
  return tx.run(insertUnmatched, { ...report, now })
}

export async function keepUnmatchedRead(
  tx: Tx,
  { roomId, eventId, userId }: ReadReport,
  now: number,
): Promise<void> {
  const isBot = (await tx.get(botOfRoom, { roomId }))?.bridgeBot === userId
  const word = isBot ? { sender: userId, status: 'sent' as const } : { sender: '', status: 'read' as const }
  return keepUnmatched(tx, { eventId, ...word, reason: null }, now)
}

/**
 * Takes the reports of an event that is known now. Only those of the bridge's bot count, and
 * receipts.
 * @returns the report that counts, null when there is none
 */
export async function takeUnmatched(
  tx: Tx,
  eventId: string,
  bridgeBot: string | null,
): Promise<StatusWord | null> {
  const found = await tx.all(unmatched, { eventId })
  if (found.length === 0) return null
  await tx.run(dropUnmatched, { eventId })
  return found
    .filter(({ sender }) => sender === '' || sender === bridgeBot)
    .sort((one, other) => placeOf(one.status) - placeOf(other.status))
    .reduce<StatusWord | null>(
      (latest, next) =>
        latest && latest.status !== 'queued' && !advances(latest.status, next.status) ? latest : next,
      null,
    )
}

/** A status only advances, and a failure ends it, unless the message has arrived. */
export function advances(from: MessageStatus, to: MessageStatus): boolean {
  if (from === 'failed' || from === 'cancelled') return false
  if (to === 'failed') return from !== 'delivered' && from !== 'read'
  return placeOf(to) > placeOf(from)
}

function placeOf(status: MessageStatus): number {
  return MESSAGE_STATUSES.indexOf(status)
}
