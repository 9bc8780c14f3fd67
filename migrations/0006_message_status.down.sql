DELETE FROM deliveries WHERE inbox_seq IN (SELECT seq FROM inbox_events WHERE name = 'message.status');
DELETE FROM inbox_events WHERE name = 'message.status';
DROP TABLE early_statuses;
CREATE TABLE early_statuses (
  event_id text PRIMARY KEY NOT NULL,
  status text NOT NULL,
  reason text,
  received_at integer NOT NULL
) WITHOUT ROWID;
UPDATE messages SET status = 'sent' WHERE status = 'submitted';
DROP INDEX messages_silent;
DROP INDEX messages_unread;
CREATE INDEX messages_unread ON messages (room_id,seq) WHERE status in ('sent', 'delivered');
