-- The version before has other terms and ids: it indexes all messages anew.
DROP INDEX `chat_messages_found`;
INSERT INTO chat_search (chat_search) VALUES ('delete-all');
DELETE FROM settings WHERE name = 'history_indexed';
