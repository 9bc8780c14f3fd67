-- The words of the history's messages, without their texts; `scope` has the identity and the room.
CREATE VIRTUAL TABLE chat_search USING fts5(
  scope, text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
-- Words that are taken out leave nothing behind.
INSERT INTO chat_search (chat_search, rank) VALUES ('secure-delete', 1);
