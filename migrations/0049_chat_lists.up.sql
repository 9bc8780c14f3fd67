-- What a list of chats shows, and its order: the chat in which something was said last comes first.
ALTER TABLE chats ADD COLUMN activity_at integer NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN unread_count integer NOT NULL DEFAULT 0;
-- The address of its picture at the homeserver.
ALTER TABLE chats ADD COLUMN avatar text;
ALTER TABLE chats ADD COLUMN topic text;
ALTER TABLE chats ADD COLUMN member_count integer;
ALTER TABLE chats ADD COLUMN muted integer NOT NULL DEFAULT false;
ALTER TABLE chats ADD COLUMN archived integer NOT NULL DEFAULT false;
UPDATE chats SET activity_at = created_at;
CREATE INDEX chats_active ON chats (identity_id,activity_at,id) WHERE moved_to is null and kind in ('dm', 'group', 'channel', 'status');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('chats', 'chats_active', '900000 1000 2 1');
ANALYZE sqlite_schema;
