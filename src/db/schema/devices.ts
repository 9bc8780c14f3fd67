/** Linked accounts of phone networks: one row for each login at a bridge. */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { DEVICE_STATES } from '../../domain/states.ts'
import { timestamps } from './columns.ts'
import { identities } from './identities.ts'

export const devices = sqliteTable(
  'devices',
  {
    id: text('id').primaryKey(),
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    platform: text('platform').notNull(),
    /** The bridge's id for the login. */
    loginId: text('login_id').notNull(),
    /** The API's device_id: the account's phone digits if it has a number, else the login id. */
    deviceId: text('device_id').notNull(),
    phone: text('phone'),
    /** As the network has it. */
    name: text('name').notNull(),
    /** As the API named it, which is what clients see; null: as the network has it. */
    ownName: text('own_name'),
    /** Matrix user that sends the account's own messages from the phone; null while unknown. */
    ghostUserId: text('ghost_user_id'),
    state: text('state', { enum: DEVICE_STATES }).notNull(),
    stateReason: text('state_reason'),
    stateSince: integer('state_since').notNull(),
    linkedAt: integer('linked_at').notNull(),
    /** Older messages are history and aren't delivered; null: those from before `linkedAt`. */
    receivesFrom: integer('receives_from'),
    /** When the API deleted it; null while listed. The row stays in case it is linked again. */
    removedAt: integer('removed_at'),
    /** Messages up to this `seq` waited at deletion and are never sent; null when none did. */
    discardedThrough: integer('discarded_through'),
    /** Until then the network lets it start no new chats; null or past: it may. */
    restrictedUntil: integer('restricted_until'),
    ...timestamps,
  },
  table => [
    uniqueIndex('devices_login').on(table.identityId, table.platform, table.loginId),
    index('devices_platform').on(table.platform, table.identityId).where(sql`removed_at is null`),
  ],
)

/** Logins that were requested and aren't devices yet. */
export const awaitedLogins = sqliteTable(
  'awaited_logins',
  {
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    platform: text('platform').notNull(),
    /** Time of the last request: messages from then on are received, however late the link. */
    since: integer('since').notNull(),
  },
  table => [primaryKey({ columns: [table.identityId, table.platform] })],
)

export type Device = typeof devices.$inferSelect
