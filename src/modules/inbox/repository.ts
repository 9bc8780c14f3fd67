/** SQL of the inbox: what a batch rests on, and the one transaction that stores what it means. */
import { and, asc, eq, isNull, or, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import {
  appserviceTransactions,
  type Chat,
  chats,
  type Device,
  devices,
  earlyStatuses,
  heldEvents,
  identities,
  type Message,
  media,
  messages,
  profiles,
} from '../../db/schema/index.ts'
import type { EventBatch, RoomEvent } from '../../domain/ports.ts'
import { MESSAGE_STATUSES, type MessageStatus } from '../../domain/states.ts'
import { createEventWriter } from '../events/repository.ts'
import { createStatusWriter } from '../messages/status-repository.ts'
import type { ChatState, Knowledge, Plan, PlannedMessage, StatusChange } from './plan.ts'

export interface StoreResult {
  /** False: what the plan rests on has changed; nothing was written, plan again. */
  stored: boolean
  /** Whether something is to be delivered now. */
  deliveries: boolean
  /** Whether there are rooms to join now. */
  joins: boolean
}

export interface InboxRepository {
  /** Whether the batch at this position has been stored already. */
  isRepeat(position: EventBatch['position']): Promise<boolean>
  /** @param userIds whose membership or name the batch speaks of */
  knowledge(roomIds: readonly string[], userIds: readonly string[]): Promise<Omit<Knowledge, 'platforms'>>
  store(plan: Plan, now: number): Promise<StoreResult>
  /** Events that wait for the join of a room, oldest first. */
  held(identityId: string, roomId: string): Promise<RoomEvent[]>
  /** Stores the end of a join and removes the held events, if there are still `heldCount` of them. */
  storeJoin(plan: Plan, chat: Chat, heldCount: number, now: number): Promise<StoreResult>
  /** Removes what only served to recognise repeats and can't come any more. */
  forget(before: number): Promise<void>
}

type ReportedMessage = Pick<Message, 'seq' | 'lane' | 'deviceRowId' | 'status' | 'resends'>

const UNCHANGED: StoreResult = { stored: true, deliveries: false, joins: false }
const STALE: StoreResult = { stored: false, deliveries: false, joins: false }

export function createInboxRepository(db: Db): InboxRepository {
  const { orm, committer } = db
  const param = sql.placeholder

  const transaction = orm
    .select({ txnId: appserviceTransactions.txnId })
    .from(appserviceTransactions)
    .where(eq(appserviceTransactions.txnId, param('txnId')))
    .prepare()
  const insertTransaction = orm
    .insert(appserviceTransactions)
    .values({ txnId: param('txnId'), receivedAt: param('now') })
    .prepare()
  const chatsOfRoom = orm
    .select()
    .from(chats)
    .where(eq(chats.roomId, param('roomId')))
    .prepare()
  const oneChat = orm
    .select({ membership: chats.membership })
    .from(chats)
    .where(and(eq(chats.identityId, param('identityId')), eq(chats.roomId, param('roomId'))))
    .prepare()
  const identityByUser = orm
    .select({ id: identities.id })
    .from(identities)
    .where(eq(identities.matrixUserId, param('userId')))
    .prepare()
  const userOfIdentity = orm
    .select({ userId: identities.matrixUserId })
    .from(identities)
    .where(eq(identities.id, param('id')))
    .prepare()
  const listedDevices = orm
    .select()
    .from(devices)
    .where(and(eq(devices.identityId, param('identityId')), isNull(devices.removedAt)))
    .prepare()
  const profile = orm
    .select()
    .from(profiles)
    .where(eq(profiles.matrixUserId, param('userId')))
    .prepare()
  const upsertProfile = orm
    .insert(profiles)
    .values({ matrixUserId: param('userId'), displayName: param('name') })
    .onConflictDoUpdate({ target: profiles.matrixUserId, set: { displayName: sql`excluded.display_name` } })
    .prepare()
  const events = createEventWriter(db)
  const messageByEvent = orm
    .select({
      seq: messages.seq,
      lane: messages.lane,
      deviceRowId: messages.deviceRowId,
      status: messages.status,
      resends: messages.resends,
    })
    .from(messages)
    .where(eq(messages.eventId, param('eventId')))
    .prepare()
  // The statuses are spelled out, as a partial index is found by its text.
  const markRead = orm
    .update(messages)
    .set({ status: 'read', updatedAt: sql`${param('now')}` })
    .where(
      sql`${messages.roomId} = ${param('roomId')} and ${messages.seq} <= ${param('seq')} and ${messages.status} in ('sent', 'delivered')`,
    )
    .prepare()
  const statuses = createStatusWriter(db)
  const keepEarly = orm
    .insert(earlyStatuses)
    .values({
      eventId: param('eventId'),
      status: param('status'),
      reason: param('reason'),
      receivedAt: param('now'),
    })
    .onConflictDoUpdate({
      target: earlyStatuses.eventId,
      set: { status: sql`excluded.status`, reason: sql`excluded.reason` },
    })
    .prepare()

  /** True when the plan rests on a membership that has changed: an event would be held for a join that is complete. */
  function isStale(plan: Plan): boolean {
    return plan.held.some(
      ({ identityId, event }) => oneChat.get({ identityId, roomId: event.room_id })?.membership === 'joined',
    )
  }

  function writeChat(chat: ChatState, now: number): void {
    const { identityId, roomId, ...columns } = chat
    orm
      .insert(chats)
      .values({ identityId, roomId, ...columns, createdAt: now, updatedAt: now })
      .onConflictDoUpdate({ target: [chats.identityId, chats.roomId], set: { ...columns, updatedAt: now } })
      .run()
  }

  /** @returns whether there is something to deliver */
  function writeMessage(message: PlannedMessage, now: number): boolean {
    const { media: file, ...event } = message
    const written = events.write(
      { ...event, eventId: event.payload.id, lane: event.roomId, mediaId: file?.id ?? null },
      now,
    )
    // Known already: the homeserver told it twice.
    if (!written) return false
    if (file) writeMedia(event.identityId, file, now)
    return written.deliveries
  }

  function writeMedia(
    identityId: string,
    { id, mxcUri, info }: NonNullable<PlannedMessage['media']>,
    now: number,
  ): void {
    orm
      .insert(media)
      .values({
        id,
        identityId,
        mxcUri,
        fileName: info.file_name,
        mimeType: info.mime_type,
        sizeBytes: info.size,
        width: info.width,
        height: info.height,
        durationMs: info.duration,
        blurHash: info.blur_hash,
        stored: false,
        createdAt: now,
        updatedAt: now,
      })
      .run()
  }

  function writeStatus({ eventId, status, reason }: StatusChange, now: number): void {
    const message = messageByEvent.get({ eventId })
    if (!message) keepEarly.run({ eventId, status, reason, now })
    else if (status === 'queued') requeueIfSent(message, reason, now)
    else if (climbs(message.status, status)) statuses.set(message.seq, status, reason, now)
  }

  /** A message that has arrived, or that failed for good, isn't sent again whatever a late report says. */
  function requeueIfSent(message: ReportedMessage, reason: string | null, now: number): void {
    if (message.status === 'sent') statuses.requeue(message, reason, now)
  }

  function writeRead(roomId: string, eventId: string, now: number): void {
    const last = messageByEvent.get({ eventId })
    if (!last) {
      keepEarly.run({ eventId, status: 'read', reason: null, now })
      return
    }
    markRead.run({ roomId, seq: last.seq, now })
  }

  /** Everything of a plan but its position. Runs inside a transaction. */
  function write(plan: Plan, now: number): StoreResult {
    for (const chat of plan.chats) writeChat(chat, now)
    for (const [userId, name] of plan.names) upsertProfile.run({ userId, name })
    for (const { identityId, event } of plan.held) {
      orm
        .insert(heldEvents)
        .values({ identityId, roomId: event.room_id, event: { ...event } })
        .run()
    }
    let hasDeliveries = false
    for (const message of plan.messages) hasDeliveries = writeMessage(message, now) || hasDeliveries
    for (const status of plan.statuses) writeStatus(status, now)
    for (const { roomId, eventId } of plan.reads) writeRead(roomId, eventId, now)
    const hasJoins = plan.chats.some(chat => chat.membership === 'invited' || chat.membership === 'joining')
    return { stored: true, deliveries: hasDeliveries, joins: hasJoins }
  }

  function isStored(position: EventBatch['position']): boolean {
    if (position.kind === 'transaction') return transaction.get({ txnId: position.txnId }) !== undefined
    const { userId, nextBatch } = position
    const same = and(eq(identities.matrixUserId, userId), eq(identities.syncToken, nextBatch))
    return orm.select({ id: identities.id }).from(identities).where(same).get() !== undefined
  }

  function writePosition(position: EventBatch['position'], now: number): void {
    if (position.kind === 'transaction') insertTransaction.run({ txnId: position.txnId, now })
    else {
      const own = eq(identities.matrixUserId, position.userId)
      orm.update(identities).set({ syncToken: position.nextBatch, updatedAt: now }).where(own).run()
    }
  }

  return {
    isRepeat: async position => isStored(position),

    async knowledge(roomIds, userIds) {
      const known: Chat[] = roomIds.flatMap(roomId => chatsOfRoom.all({ roomId }))
      const ours = new Map<string, string>()
      for (const userId of userIds) {
        const identity = identityByUser.get({ userId })
        if (identity) ours.set(userId, identity.id)
      }
      for (const identityId of new Set(known.map(chat => chat.identityId))) {
        const identity = userOfIdentity.get({ id: identityId })
        if (identity) ours.set(identity.userId, identityId)
      }
      const linked = new Map(
        [...ours.values()].map(identityId => [
          identityId,
          // Ordered here: SQLite sets up its sorter even for one row, and this is asked for every batch.
          listedDevices.all({ identityId }).sort(linkedThenOldestFirst),
        ]),
      )
      const names = new Map<string, string>()
      for (const userId of userIds) {
        const known = profile.get({ userId })
        if (known) names.set(userId, known.displayName)
      }
      return { chats: known, identities: ours, devices: linked, names }
    },

    store: (plan, now) =>
      committer.write(() => {
        if (plan.position && isStored(plan.position)) return UNCHANGED
        if (isStale(plan)) return STALE
        if (plan.position) writePosition(plan.position, now)
        return write(plan, now)
      }),

    held: async (identityId, roomId) =>
      orm
        .select({ event: heldEvents.event })
        .from(heldEvents)
        .where(and(eq(heldEvents.identityId, identityId), eq(heldEvents.roomId, roomId)))
        .orderBy(asc(heldEvents.seq))
        .all()
        .map(row => row.event as unknown as RoomEvent),

    storeJoin: (plan, { identityId, roomId }, heldCount, now) =>
      committer.write(() => {
        const ofRoom = and(eq(heldEvents.identityId, identityId), eq(heldEvents.roomId, roomId))
        const heldNow = orm.select({ seq: heldEvents.seq }).from(heldEvents).where(ofRoom).all().length
        if (heldNow !== heldCount) return STALE
        orm.delete(heldEvents).where(ofRoom).run()
        return write(plan, now)
      }),

    forget: before =>
      committer.write(() => {
        orm.delete(appserviceTransactions).where(sql`${appserviceTransactions.receivedAt} < ${before}`).run()
        orm
          .delete(earlyStatuses)
          .where(or(sql`${earlyStatuses.receivedAt} < ${before}`))
          .run()
      }),
  }
}

function linkedThenOldestFirst(one: Device, other: Device): number {
  const lost = (device: Device) => Number(device.state === 'logged_out')
  return lost(one) - lost(other) || one.createdAt - other.createdAt
}

/** A status only goes up the ladder; a failure ends it, unless the message has arrived. */
function climbs(from: MessageStatus, to: MessageStatus): boolean {
  if (from === 'failed' || from === 'cancelled') return false
  if (to === 'failed') return from !== 'delivered' && from !== 'read'
  return MESSAGE_STATUSES.indexOf(to) > MESSAGE_STATUSES.indexOf(from)
}
