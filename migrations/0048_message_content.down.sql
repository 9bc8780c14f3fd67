ALTER TABLE messages DROP COLUMN send_at;
ALTER TABLE messages DROP COLUMN metadata;
ALTER TABLE messages DROP COLUMN content;
