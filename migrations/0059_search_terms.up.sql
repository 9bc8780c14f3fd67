-- Each word of the index begins with its identity now, so that a search reads nothing of others', and a
-- message's id there is in the order of sending: all messages are indexed anew, as new ones are.
CREATE INDEX `chat_messages_found` ON `chat_messages` ((sent_at << 21) | (seq & 2097151)) WHERE relates_to is null;
INSERT INTO chat_search (chat_search) VALUES ('delete-all');
DELETE FROM settings WHERE name = 'history_indexed';
