/**
 * Lanes keep both queues in order: the holder of a lane's lease does its work, oldest first. A lane
 * exists while work waits in it, so claiming looks at due lanes, never at the queue behind them.
 */
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const outboxLanes = sqliteTable(
  'outbox_lanes',
  {
    lane: text('lane').primaryKey(),
    deviceRowId: text('device_row_id').notNull(),
    /** When its next message may be tried; meaningless while leased. */
    dueAt: integer('due_at').notNull(),
    /** Holder of the lease; null when free. */
    leaseId: text('lease_id'),
  },
  table => [index('outbox_lanes_due').on(table.deviceRowId, table.dueAt)],
)

/**
 * Devices with lanes, and how far their pace has come. Triggers make a device due no later than the
 * first of its lanes; who looks at it puts it off again.
 */
export const outboxDevices = sqliteTable(
  'outbox_devices',
  {
    deviceRowId: text('device_row_id').primaryKey(),
    /** When to look for a lane that may be tried. */
    dueAt: integer('due_at').notNull(),
    /** When its pace lets it send next. */
    nextSendAt: integer('next_send_at').notNull(),
  },
  table => [index('outbox_devices_due').on(table.dueAt)],
)

export const deliveryLanes = sqliteTable(
  'delivery_lanes',
  {
    lane: text('lane').primaryKey(),
    /** `<identity>/<webhook id>`: limits an endpoint's deliveries in flight. */
    endpoint: text('endpoint').notNull(),
    /** When its next delivery may be tried; meaningless while leased. */
    dueAt: integer('due_at').notNull(),
    /** Holder of the lease; null when free. */
    leaseId: text('lease_id'),
  },
  table => [index('delivery_lanes_due').on(table.endpoint, table.dueAt)],
)
