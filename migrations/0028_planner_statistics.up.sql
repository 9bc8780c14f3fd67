-- SQLite's planner takes the first column of a primary key for as selective as all columns of an
-- index, and then reads all chats of an identity, or all contacts of a device, to find one. These say
-- how many rows a full database has for each value, in the form of ANALYZE.
-- A migration that makes one of these tables or indexes anew says it again: SQLite forgets it with them.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('chats', 'chats', '1000000 1000 1'),
  ('chats', 'chats_room', '1000000 1'),
  ('chats', 'chats_channel', '1000000 1000 1000 1'),
  ('chats', 'chats_peer', '1000000 1000 1'),
  ('chats', 'chats_groups', '10000 10 10'),
  ('chats', 'chats_unfinished', '10 1'),
  ('contacts', 'contacts', '1000000 1000 1'),
  ('contacts', 'contacts_phone', '1000000 1000 1');
ANALYZE sqlite_schema;
