/**
 * Lanes give both queues their order: work of one lane is done by one holder of its lease, oldest first. A lane exists while it
 * has work waiting, so claiming looks at lanes that are due, never at the queue behind them.
 */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** A leased lane comes due this much later, so that looking for due lanes doesn't meet it. */
export const OUT_OF_THE_WAY_MS = 24 * 3_600_000

export const outboxLanes = sqliteTable(
  'outbox_lanes',
  {
    lane: text('lane').primaryKey(),
    deviceRowId: text('device_row_id').notNull(),
    /** When its next message may be tried. While leased: nothing that anybody waits for. */
    dueAt: integer('due_at').notNull(),
    /** Who holds it; null when nobody does. */
    leaseId: text('lease_id'),
    /** Whether `dueAt` is a slot of the device's pace that was given to this lane. */
    hasSlot: integer('has_slot', { mode: 'boolean' }).notNull(),
  },
  table => [index('outbox_lanes_due').on(table.dueAt)],
)

export const deliveryLanes = sqliteTable(
  'delivery_lanes',
  {
    lane: text('lane').primaryKey(),
    /** `<identity>/<webhook id>`: bounds how much one endpoint may have in flight. */
    endpoint: text('endpoint').notNull(),
    /** When its next delivery may be tried. While leased: nothing that anybody waits for. */
    dueAt: integer('due_at').notNull(),
    /** Who holds it; null when nobody does. */
    leaseId: text('lease_id'),
  },
  table => [index('delivery_lanes_due').on(table.endpoint, table.dueAt)],
)

/** The pace of a device's sending (generic cell rate algorithm): when it would be back at rest after all slots given so far. */
export const devicePaces = sqliteTable('device_paces', {
  deviceRowId: text('device_row_id').primaryKey(),
  restAt: integer('rest_at').notNull(),
})
