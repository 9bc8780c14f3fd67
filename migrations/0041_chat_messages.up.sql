-- Messages from before a device was linked, as its bridge brings them.
CREATE TABLE chat_messages (
  seq integer PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  event_id text NOT NULL,
  room_id text NOT NULL,
  device_row_id text NOT NULL,
  sender_user_id text NOT NULL,
  direction text NOT NULL,
  kind text NOT NULL,
  text text NOT NULL,
  content text,
  reply_to text,
  relates_to text,
  sent_at integer NOT NULL,
  stored_at integer NOT NULL,
  deleted_at integer
);
CREATE UNIQUE INDEX chat_messages_event ON chat_messages (identity_id,event_id);
CREATE INDEX chat_messages_chat ON chat_messages (identity_id,room_id,sent_at,seq);
CREATE INDEX chat_messages_device ON chat_messages (device_row_id);
