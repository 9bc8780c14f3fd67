-- The version before has other terms: it indexes all messages anew.
INSERT INTO chat_search (chat_search) VALUES ('delete-all');
DELETE FROM settings WHERE name = 'history_indexed';
