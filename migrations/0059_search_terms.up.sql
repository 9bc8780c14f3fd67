-- Each word of the index begins with its identity now, so that a search reads nothing of others': all
-- messages are indexed anew, as new ones are.
INSERT INTO chat_search (chat_search) VALUES ('delete-all');
DELETE FROM settings WHERE name = 'history_indexed';
