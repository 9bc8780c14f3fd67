DELETE FROM sqlite_stat1 WHERE idx = 'chats_active';
DROP INDEX chats_active;
ALTER TABLE chats DROP COLUMN archived;
ALTER TABLE chats DROP COLUMN muted;
ALTER TABLE chats DROP COLUMN member_count;
ALTER TABLE chats DROP COLUMN topic;
ALTER TABLE chats DROP COLUMN avatar;
ALTER TABLE chats DROP COLUMN unread_count;
ALTER TABLE chats DROP COLUMN activity_at;
