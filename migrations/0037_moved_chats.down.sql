ALTER TABLE chats DROP COLUMN moved_to;
