DROP INDEX chats_peer;
ALTER TABLE chats DROP COLUMN peer;
