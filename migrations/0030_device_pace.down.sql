-- An earlier version forgets how far each device's pace has come: it sends a burst, and then keeps to it again.
ALTER TABLE devices RENAME COLUMN discarded_through TO void_through;
ALTER TABLE unmatched_statuses RENAME TO early_statuses;
DROP TRIGGER outbox_lanes_waiting;
DROP TRIGGER outbox_lanes_opened;
DROP TABLE outbox_devices;
DROP INDEX outbox_lanes_due;
ALTER TABLE outbox_lanes ADD COLUMN has_slot integer NOT NULL DEFAULT 0;
CREATE INDEX outbox_lanes_due ON outbox_lanes (due_at);
CREATE TABLE device_paces (
  device_row_id text PRIMARY KEY NOT NULL,
  rest_at integer NOT NULL
) WITHOUT ROWID;
