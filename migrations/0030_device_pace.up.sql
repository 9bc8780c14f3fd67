-- The pace belongs to the device: until now its lanes held times to send that had been given out.
CREATE TABLE outbox_devices (
  device_row_id text PRIMARY KEY NOT NULL,
  due_at integer NOT NULL,
  next_send_at integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_devices_due ON outbox_devices (due_at);
-- A device sends next when the first of those times has come, or is at rest: that is late rather than too soon.
INSERT INTO outbox_devices (device_row_id, due_at, next_send_at)
  SELECT device_row_id, 0, coalesce(
    (SELECT min(due_at) FROM outbox_lanes WHERE outbox_lanes.device_row_id = known.device_row_id AND has_slot = 1),
    (SELECT rest_at FROM device_paces WHERE device_paces.device_row_id = known.device_row_id),
    0)
  FROM (SELECT device_row_id FROM device_paces UNION SELECT device_row_id FROM outbox_lanes) AS known;
-- Lanes that had a time are due, in the order of their times, before what is accepted from now on.
UPDATE outbox_lanes SET due_at = due_at - (SELECT max(due_at) FROM outbox_lanes WHERE has_slot = 1) WHERE has_slot = 1;
DROP TABLE device_paces;
DROP INDEX outbox_lanes_due;
ALTER TABLE outbox_lanes DROP COLUMN has_slot;
CREATE INDEX outbox_lanes_due ON outbox_lanes (device_row_id,due_at);
-- A device is due when the first of its lanes is. What makes it due later is found by whoever looks at it.
CREATE TRIGGER outbox_lanes_opened AFTER INSERT ON outbox_lanes
BEGIN
  INSERT INTO outbox_devices (device_row_id, due_at, next_send_at) VALUES (new.device_row_id, new.due_at, 0)
    ON CONFLICT (device_row_id) DO UPDATE SET due_at = max(excluded.due_at, next_send_at)
    WHERE max(excluded.due_at, next_send_at) < due_at;
END;
CREATE TRIGGER outbox_lanes_waiting AFTER UPDATE OF due_at ON outbox_lanes WHEN new.lease_id IS NULL
BEGIN
  INSERT INTO outbox_devices (device_row_id, due_at, next_send_at) VALUES (new.device_row_id, new.due_at, 0)
    ON CONFLICT (device_row_id) DO UPDATE SET due_at = max(excluded.due_at, next_send_at)
    WHERE max(excluded.due_at, next_send_at) < due_at;
END;
ALTER TABLE early_statuses RENAME TO unmatched_statuses;
ALTER TABLE devices RENAME COLUMN void_through TO discarded_through;
