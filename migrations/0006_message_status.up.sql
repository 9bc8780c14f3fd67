-- `submitted`: handed to the homeserver, and not a word of the bridge yet. Until now such a message was `sent`, and stays so.
DROP INDEX messages_unread;
CREATE INDEX messages_unread ON messages (room_id,seq) WHERE status in ('submitted', 'sent', 'delivered');
CREATE INDEX messages_silent ON messages (updated_at) WHERE status = 'submitted';
-- Who said it matters now, so what was kept without that is of no use: it is asked for within moments of the send.
DROP TABLE early_statuses;
CREATE TABLE early_statuses (
  event_id text NOT NULL,
  sender text NOT NULL,
  status text NOT NULL,
  reason text,
  received_at integer NOT NULL,
  PRIMARY KEY(event_id, sender, status)
) WITHOUT ROWID;
