-- Which messages have a file, the youngest of them first.
CREATE INDEX sandbox_message_media ON sandbox_message (media_id, sent_at) WHERE media_id IS NOT NULL;
