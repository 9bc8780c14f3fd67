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
  inboxEvents,
  media,
  profiles,
} from '../../db/schema/index.ts'
import { isMessageEvent } from '../../domain/events.ts'
import type { Observer } from '../../domain/observation.ts'
import type { EventBatch, RoomEvent } from '../../domain/ports.ts'
import { createFeaturesWriter } from '../chats/room-features-repository.ts'
import { createEventWriter } from '../events/repository.ts'
import type { Backlog } from '../messages/backlog.ts'
import { createStatusWriter } from '../messages/status-repository.ts'
import type { ChatState } from './chat-state.ts'
import { chatKey } from './plan.ts'
import type { Knowledge, Plan, PlannedMessage } from './plan-types.ts'
import type { Reaction } from './reactions.ts'

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
  knowledge(
    roomIds: readonly string[],
    userIds: readonly string[],
  ): Promise<Omit<Knowledge, 'platforms' | 'forged' | 'phones'>>
  /** Which of the identities' events were reactions, by the events' ids. */
  reactions(
    identityIds: readonly string[],
    eventIds: readonly string[],
  ): Promise<ReadonlyMap<string, Reaction>>
  store(plan: Plan, now: number): Promise<StoreResult>
  /** Events that wait for the join of a room, oldest first. */
  held(identityId: string, roomId: string): Promise<RoomEvent[]>
  /** Stores the end of a join and removes the held events, if there are still `heldCount` of them. */
  storeJoin(plan: Plan, chat: Chat, heldCount: number, now: number): Promise<StoreResult>
  /** Removes what only served to recognise repeats and can't come any more. */
  forget(before: number): Promise<void>
}

const UNCHANGED: StoreResult = { stored: true, deliveries: false, joins: false }
const STALE: StoreResult = { stored: false, deliveries: false, joins: false }

export function createInboxRepository(
  db: Db,
  observer?: Pick<Observer, 'messageSettled'>,
  backlog?: Pick<Backlog, 'leave' | 'requeue'>,
): InboxRepository {
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
  const reactionOf = orm
    .select({ payload: inboxEvents.payload })
    .from(inboxEvents)
    .where(
      and(
        eq(inboxEvents.identityId, param('identityId')),
        eq(inboxEvents.eventId, param('eventId')),
        eq(inboxEvents.name, 'message.reaction'),
      ),
    )
    .prepare()
  const rememberFeatures = createFeaturesWriter(db)
  const events = createEventWriter(db)
  const statuses = createStatusWriter(db, observer, backlog)

  /** True when the plan rests on a membership that has changed: an event would be held for a join that is complete. */
  function isStale(plan: Plan): boolean {
    return plan.held.some(
      ({ identityId, event: { room_id: roomId } }) =>
        !plan.rejoined.has(chatKey(identityId, roomId)) &&
        oneChat.get({ identityId, roomId })?.membership === 'joined',
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

  /** Everything of a plan but its position. Runs inside a transaction. */
  function write(plan: Plan, now: number): StoreResult {
    for (const [digest, content] of plan.features) rememberFeatures(digest, content)
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
    for (const status of plan.statuses) hasDeliveries = statuses.report(status, now) || hasDeliveries
    for (const receipt of plan.reads) hasDeliveries = statuses.read(receipt, now) || hasDeliveries
    const hasJoins = plan.chats.some(chat => chat.membership === 'invited' || chat.membership === 'joining')
    return { stored: true, deliveries: hasDeliveries, joins: hasJoins }
  }

  function isStored(position: EventBatch['position']): boolean {
    if (position.kind === 'look_back') return false
    if (position.kind === 'transaction') return transaction.get({ txnId: position.txnId }) !== undefined
    const { userId, nextBatch } = position
    const same = and(eq(identities.matrixUserId, userId), eq(identities.syncToken, nextBatch))
    return orm.select({ id: identities.id }).from(identities).where(same).get() !== undefined
  }

  function writePosition(position: EventBatch['position'], now: number): void {
    if (position.kind === 'transaction') insertTransaction.run({ txnId: position.txnId, now })
    if (position.kind === 'sync') {
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

    async reactions(identityIds, eventIds) {
      const found = new Map<string, Reaction>()
      for (const eventId of eventIds) {
        for (const identityId of identityIds) {
          const payload = reactionOf.get({ identityId, eventId })?.payload
          if (payload && isMessageEvent(payload))
            found.set(eventId, { emoji: payload.message, relatesTo: payload.relates_to })
        }
      }
      return found
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
