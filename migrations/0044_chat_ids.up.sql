-- A chat's own id, which stays when its room changes; ids sort by when chats came about.
CREATE TABLE chats_with_id (
  id text NOT NULL,
  identity_id text NOT NULL,
  room_id text NOT NULL,
  membership text NOT NULL,
  kind text NOT NULL,
  platform text,
  bridge_bot text,
  channel_id text,
  receiver text,
  name text NOT NULL,
  encrypted integer NOT NULL,
  created_at integer NOT NULL,
  updated_at integer NOT NULL,
  peer text,
  features text,
  moved_to text,
  PRIMARY KEY(identity_id, room_id),
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;
INSERT INTO chats_with_id
SELECT 'chat_' || printf('%012x', created_at) || '7' || lower(substr(hex(randomblob(10)), 1, 19)),
  identity_id, room_id, membership, kind, platform, bridge_bot, channel_id, receiver, name, encrypted, created_at, updated_at, peer, features, moved_to
FROM chats;
DROP TABLE chats;
ALTER TABLE chats_with_id RENAME TO chats;
CREATE INDEX chats_channel ON chats (identity_id,platform,channel_id);
CREATE INDEX chats_groups ON chats (identity_id,platform) WHERE kind = 'group';
CREATE INDEX chats_peer ON chats (identity_id,peer) WHERE peer is not null;
CREATE INDEX chats_room ON chats (room_id);
CREATE INDEX chats_unfinished ON chats (updated_at) WHERE membership in ('invited', 'joining');
CREATE UNIQUE INDEX chats_id ON chats (id);
CREATE INDEX chats_moved ON chats (moved_to) WHERE moved_to is not null;

-- What migration 28 says of the table, again.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('chats', 'chats', '1000000 1000 1'),
  ('chats', 'chats_room', '1000000 1'),
  ('chats', 'chats_channel', '1000000 1000 1000 1'),
  ('chats', 'chats_peer', '1000000 1000 1'),
  ('chats', 'chats_groups', '10000 10 10'),
  ('chats', 'chats_unfinished', '10 1'),
  ('chats', 'chats_id', '1000000 1'),
  ('chats', 'chats_moved', '1000 1');
ANALYZE sqlite_schema;
