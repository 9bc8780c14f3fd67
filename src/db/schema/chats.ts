/** Matrix rooms of an identity: portal rooms of chats, management rooms, spaces. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { CHAT_KINDS, CHAT_MEMBERSHIPS } from '../../domain/states.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { timestamps } from './columns.ts'
import { identities } from './identities.ts'

export const newChatId = () => timeOrderedId('chat_')

/** Chats that people know as such, in the room where they go on: spelled out, as the index is. */
export const LISTED = sql`moved_to is null and kind in ('dm', 'group', 'channel', 'status')`

/** The activity of a chat that was erased: it is shown again when something is said there. */
export const ERASED = -1

export function isErased({ activityAt }: { activityAt: number }): boolean {
  return activityAt === ERASED
}

export const chats = sqliteTable(
  'chats',
  {
    /** The name for clients; that of the oldest of the rooms that the chat has been in. */
    id: text('id').notNull().$defaultFn(newChatId),
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    roomId: text('room_id').notNull(),
    membership: text('membership', { enum: CHAT_MEMBERSHIPS }).notNull(),
    kind: text('kind', { enum: CHAT_KINDS }).notNull(),
    /** Null until the room's m.bridge state is known, and for rooms without a bridge. */
    platform: text('platform'),
    bridgeBot: text('bridge_bot'),
    /** The network's own chat id (m.bridge channel.id). */
    channelId: text('channel_id'),
    /** Login that owns the portal (fi.mau.receiver); null when logins share it. */
    receiver: text('receiver'),
    name: text('name').notNull(),
    encrypted: integer('encrypted', { mode: 'boolean' }).notNull(),
    /** Matrix user id of a dm's other party; null until they have written. */
    peer: text('peer'),
    /** Digest of room_features; empty when the bridge states none, null while unknown. */
    features: text('features'),
    /** The room in which the chat goes on, as its tombstone names it; null while it is here. */
    movedTo: text('moved_to'),
    ...timestamps,
    /** When something was said last, or `ERASED`; lists have the newest first. */
    activityAt: integer('activity_at').notNull().default(0),
    /** Messages that came in since the account last read or wrote here. */
    unreadCount: integer('unread_count').notNull().default(0),
    /** The address of its picture at the homeserver (mxc://…). */
    avatar: text('avatar'),
    topic: text('topic'),
    memberCount: integer('member_count'),
    muted: integer('muted', { mode: 'boolean' }).notNull().default(false),
    archived: integer('archived', { mode: 'boolean' }).notNull().default(false),
  },
  table => [
    primaryKey({ columns: [table.identityId, table.roomId] }),
    uniqueIndex('chats_id').on(table.id),
    index('chats_room').on(table.roomId),
    index('chats_channel').on(table.identityId, table.platform, table.channelId),
    index('chats_peer').on(table.identityId, table.peer).where(sql`peer is not null`),
    index('chats_groups').on(table.identityId, table.platform).where(sql`kind = 'group'`),
    index('chats_moved').on(table.movedTo).where(sql`moved_to is not null`),
    index('chats_active').on(table.identityId, table.activityAt, table.id).where(LISTED),
    index('chats_unfinished').on(table.updatedAt).where(sql`membership in ('invited', 'joining')`),
  ],
)

export type Chat = typeof chats.$inferSelect

/** Contents of com.beeper.room_features, each stored once: chats of a network share most. */
export const roomFeatures = sqliteTable('room_features', {
  digest: text('digest').primaryKey(),
  content: text('content', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
})

/** Events of a room whose join isn't complete: they wait for older messages to come first. */
export const heldEvents = sqliteTable(
  'held_events',
  {
    seq: integer('seq').primaryKey(),
    identityId: text('identity_id').notNull(),
    roomId: text('room_id').notNull(),
    event: text('event', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
  },
  table => [index('held_events_room').on(table.identityId, table.roomId)],
)
