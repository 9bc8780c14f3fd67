-- The history of chats has all of their messages, not only those from before a link: also those that
-- came in since, were written at the phone, or were sent from here.
ALTER TABLE chat_messages ADD COLUMN message_id text;
ALTER TABLE chat_messages ADD COLUMN media_id text;
ALTER TABLE chat_messages ADD COLUMN edited_at integer;
-- An edit changes its message; its own row only tells where it was said.
UPDATE chat_messages SET text = edit.text, edited_at = edit.sent_at
FROM (
  SELECT identity_id, room_id, relates_to, text, max(sent_at) AS sent_at FROM chat_messages
  WHERE kind = 'edit' AND relates_to IS NOT NULL AND deleted_at IS NULL
  GROUP BY identity_id, room_id, relates_to
) AS edit
WHERE chat_messages.identity_id = edit.identity_id AND chat_messages.event_id = edit.relates_to
  AND chat_messages.room_id = edit.room_id AND chat_messages.deleted_at IS NULL;
UPDATE chat_messages SET text = '', content = NULL WHERE kind = 'edit';
DROP INDEX chat_messages_chat;
CREATE INDEX chat_messages_shown ON chat_messages (identity_id,room_id,sent_at,seq) WHERE relates_to is null;
CREATE INDEX chat_messages_related ON chat_messages (identity_id,relates_to) WHERE relates_to is not null;
CREATE UNIQUE INDEX chat_messages_sent ON chat_messages (message_id) WHERE message_id is not null;
CREATE INDEX chat_messages_media ON chat_messages (media_id) WHERE media_id is not null;
DELETE FROM sqlite_stat1 WHERE idx = 'chat_messages_chat';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('chat_messages', 'chat_messages_event', '1000000 1000 1'),
  ('chat_messages', 'chat_messages_device', '1000000 1000'),
  ('chat_messages', 'chat_messages_shown', '900000 1000 100 1 1'),
  ('chat_messages', 'chat_messages_related', '100000 1000 2'),
  ('chat_messages', 'chat_messages_sent', '400000 1'),
  ('chat_messages', 'chat_messages_media', '100000 2');
ANALYZE sqlite_schema;
