-- A message's parts beside its text and its file, and the notes of its client: JSON objects, or null.
ALTER TABLE messages ADD COLUMN content TEXT;
ALTER TABLE messages ADD COLUMN metadata TEXT;
-- It isn't sent before; null: at once.
ALTER TABLE messages ADD COLUMN send_at INTEGER;
