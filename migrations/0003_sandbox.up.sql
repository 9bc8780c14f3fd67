-- The simulated phone network. Instants are milliseconds since the Unix epoch; phones are digits as typed.
CREATE TABLE sandbox_setting (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sandbox_phone (
  phone TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  echo INTEGER NOT NULL DEFAULT 1,
  -- JSON array of the platforms the number exists on
  platforms TEXT NOT NULL,
  two_factor TEXT,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sandbox_contact (
  phone TEXT NOT NULL,
  contact TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (phone, contact)
) WITHOUT ROWID;

-- A chat's id names its platform; a direct chat's also both its phones.
CREATE TABLE sandbox_chat (
  id TEXT PRIMARY KEY NOT NULL,
  platform TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('dm', 'group')),
  -- groups only: the id by which the platform knows it, its name and its invite code
  group_id TEXT,
  name TEXT,
  invite_code TEXT,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX sandbox_chat_group ON sandbox_chat (platform, group_id) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX sandbox_chat_invite ON sandbox_chat (platform, invite_code) WHERE invite_code IS NOT NULL;

CREATE TABLE sandbox_member (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;
CREATE INDEX sandbox_member_phone ON sandbox_member (phone, chat);

CREATE TABLE sandbox_media (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  mime_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  width INTEGER,
  height INTEGER,
  blurhash TEXT,
  duration_ms INTEGER,
  -- where the homeserver has it, once it was downloaded from there or uploaded to it
  mxc TEXT,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX sandbox_media_mxc ON sandbox_media (mxc) WHERE mxc IS NOT NULL;

CREATE TABLE sandbox_message (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  chat TEXT NOT NULL,
  sender TEXT NOT NULL,
  type TEXT NOT NULL,
  text TEXT NOT NULL,
  media_id TEXT,
  -- the file's name in this message
  file_name TEXT,
  -- the message quoted
  reply_to TEXT,
  -- reactions, edits and deletions: the message they are about
  target TEXT,
  emoji TEXT,
  latitude REAL,
  longitude REAL,
  edited_at INTEGER,
  deleted_at INTEGER,
  sent_at INTEGER NOT NULL
);
CREATE INDEX sandbox_message_chat ON sandbox_message (chat, seq);
CREATE INDEX sandbox_message_target ON sandbox_message (target) WHERE target IS NOT NULL;

-- What each phone has: one row per phone and message.
CREATE TABLE sandbox_inbox (
  phone TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (phone, seq)
) WITHOUT ROWID;

-- Accounts linked to the bridge.
CREATE TABLE sandbox_login (
  platform TEXT NOT NULL,
  id TEXT NOT NULL,
  phone TEXT NOT NULL,
  user_id TEXT NOT NULL,
  linked_at INTEGER NOT NULL,
  PRIMARY KEY (platform, id)
) WITHOUT ROWID;
CREATE INDEX sandbox_login_user ON sandbox_login (platform, user_id, linked_at);

-- The Matrix room of a chat for a login. Without a room id it is being made, or its making was interrupted.
CREATE TABLE sandbox_portal (
  login_id TEXT NOT NULL,
  chat TEXT NOT NULL,
  platform TEXT NOT NULL,
  user_id TEXT NOT NULL,
  room_id TEXT,
  PRIMARY KEY (login_id, chat)
) WITHOUT ROWID;
CREATE UNIQUE INDEX sandbox_portal_room ON sandbox_portal (room_id) WHERE room_id IS NOT NULL;

CREATE TABLE sandbox_management_room (
  platform TEXT NOT NULL,
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  PRIMARY KEY (platform, user_id)
) WITHOUT ROWID;

-- Which Matrix event is which message; a row also says that the event was taken in.
CREATE TABLE sandbox_event (
  event_id TEXT PRIMARY KEY NOT NULL,
  room_id TEXT NOT NULL,
  message_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sandbox_event_message ON sandbox_event (message_id, room_id);

-- Messages of the network that a login's rooms don't have yet; a row goes once the homeserver has the event.
CREATE TABLE sandbox_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  platform TEXT NOT NULL,
  login_id TEXT NOT NULL,
  chat TEXT NOT NULL,
  seq INTEGER NOT NULL,
  backfill INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX sandbox_delivery_once ON sandbox_delivery (seq, login_id);

-- Ghosts that exist on the homeserver, with the name they have there.
CREATE TABLE sandbox_ghost (
  user_id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL
) WITHOUT ROWID;
