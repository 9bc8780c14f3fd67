/**
 * Bridges' reports about people: a device's address book, and the room of a typed address. A cache
 * that can be emptied at any time.
 */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { devices } from './devices.ts'

export const contacts = sqliteTable(
  'contacts',
  {
    deviceRowId: text('device_row_id')
      .notNull()
      .references(() => devices.id, { onDelete: 'cascade' }),
    /** Matrix user that represents the contact. */
    matrixUserId: text('matrix_user_id').notNull(),
    name: text('name').notNull(),
    phone: text('phone'),
    /** When the address book first had this entry. */
    seenAt: integer('seen_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.deviceRowId, table.matrixUserId] }),
    // One person may use several Matrix users.
    index('contacts_phone').on(table.deviceRowId, table.phone).where(sql`phone IS NOT NULL`),
  ],
)

/** Phone numbers of people whose Matrix users don't show them (WhatsApp's hidden ids). */
export const ghostPhones = sqliteTable(
  'ghost_phones',
  {
    matrixUserId: text('matrix_user_id').notNull(),
    deviceRowId: text('device_row_id')
      .notNull()
      .references(() => devices.id, { onDelete: 'cascade' }),
    /** Digits; null when the bridge was asked and knew none. */
    phone: text('phone'),
    askedAt: integer('asked_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.matrixUserId, table.deviceRowId] }),
    index('ghost_phones_phone').on(table.deviceRowId, table.phone).where(sql`phone IS NOT NULL`),
  ],
)

export const resolvedRecipients = sqliteTable(
  'resolved_recipients',
  {
    deviceRowId: text('device_row_id')
      .notNull()
      .references(() => devices.id, { onDelete: 'cascade' }),
    /** `contact:<digits>` or `group:<link or id>`. */
    recipientKey: text('recipient_key').notNull(),
    roomId: text('room_id').notNull(),
    /** Who it is, so that a name has the same key as the person's ids; null for groups. */
    matrixUserId: text('matrix_user_id'),
    resolvedAt: integer('resolved_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.deviceRowId, table.recipientKey] }),
    index('resolved_recipients_room').on(table.deviceRowId, table.roomId),
  ],
)

/** Display names of Matrix users, as last seen in a member event. */
export const profiles = sqliteTable('profiles', {
  matrixUserId: text('matrix_user_id').primaryKey(),
  displayName: text('display_name').notNull(),
})
