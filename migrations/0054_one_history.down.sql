-- Those that an earlier version knows: nothing of what it has as events and sent messages.
DELETE FROM chat_messages WHERE message_id IS NOT NULL
  OR EXISTS (SELECT 1 FROM events WHERE events.identity_id = chat_messages.identity_id AND events.event_id = chat_messages.event_id);
DELETE FROM sqlite_stat1 WHERE tbl = 'chat_messages';
DROP INDEX chat_messages_media;
DROP INDEX chat_messages_sent;
DROP INDEX chat_messages_related;
DROP INDEX chat_messages_shown;
CREATE INDEX chat_messages_chat ON chat_messages (identity_id,room_id,sent_at,seq);
ALTER TABLE chat_messages DROP COLUMN edited_at;
ALTER TABLE chat_messages DROP COLUMN media_id;
ALTER TABLE chat_messages DROP COLUMN message_id;
