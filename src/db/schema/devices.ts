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
    /** The bridge's id of the login. */
    loginId: text('login_id').notNull(),
    /** What the API calls device_id: the account's phone digits where the network has one, else the login id. */
    deviceId: text('device_id').notNull(),
    phone: text('phone'),
    name: text('name').notNull(),
    /** Matrix user that speaks for the account's own messages sent from the phone; null while unknown. */
    ghostUserId: text('ghost_user_id'),
    state: text('state', { enum: DEVICE_STATES }).notNull(),
    stateReason: text('state_reason'),
    stateSince: integer('state_since').notNull(),
    linkedAt: integer('linked_at').notNull(),
    /** Messages older than this are history and aren't delivered; null: those from before `linkedAt`. */
    receivesFrom: integer('receives_from'),
    /** When it was deleted by the API; null while it is listed. The row stays for the day the account is linked again. */
    removedAt: integer('removed_at'),
    /** Its messages up to this `seq` are never sent: they waited when it was deleted. Null when there are none. */
    voidThrough: integer('void_through'),
    ...timestamps,
  },
  table => [
    uniqueIndex('devices_login').on(table.identityId, table.platform, table.loginId),
    index('devices_platform').on(table.platform, table.identityId).where(sql`removed_at is null`),
  ],
)

/** Logins that were asked for and aren't devices yet. */
export const awaitedLogins = sqliteTable(
  'awaited_logins',
  {
    identityId: text('identity_id')
      .notNull()
      .references(() => identities.id),
    platform: text('platform').notNull(),
    /** When it was last asked for: what is sent from then on is received, however late the link is noticed. */
    since: integer('since').notNull(),
  },
  table => [primaryKey({ columns: [table.identityId, table.platform] })],
)

export type Device = typeof devices.$inferSelect
