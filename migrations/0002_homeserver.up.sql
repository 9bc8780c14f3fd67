-- The embedded homeserver. One counter numbers everything that a sync token or an appservice's cursor can stand on
-- (stream_id), so one integer says what a reader has seen.

-- Kinds whose rows are deleted again (to-device messages) note the counter here, so that a restart never reuses a number.
CREATE TABLE hs_counter (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  stream_id INTEGER NOT NULL
) STRICT;
INSERT INTO hs_counter (id, stream_id) VALUES (1, 0);

CREATE TABLE hs_appservices (
  num INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  as_token_hash TEXT NOT NULL,
  sender_localpart TEXT NOT NULL,
  namespaces TEXT NOT NULL,
  receive_ephemeral INTEGER NOT NULL,
  -- Everything up to here was acknowledged.
  position INTEGER NOT NULL,
  -- Transaction ids are prefix-counter: a database made anew doesn't repeat ids that a bridge remembers.
  txn_prefix TEXT NOT NULL,
  txn_counter INTEGER NOT NULL DEFAULT 0,
  -- End of the transaction that is under way, so that after a crash the same id carries the same events.
  in_flight_to INTEGER
) STRICT;

CREATE TABLE hs_users (
  user_id TEXT PRIMARY KEY,
  displayname TEXT,
  avatar_url TEXT,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_devices (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  display_name TEXT,
  token_hash TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
-- Every request by a device's own token looks it up.
CREATE UNIQUE INDEX hs_devices_by_token ON hs_devices (token_hash) WHERE token_hash IS NOT NULL;

CREATE TABLE hs_rooms (
  room INTEGER PRIMARY KEY,
  room_id TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- An event id carries its stream_id, so looking one up needs no index of its own.
CREATE TABLE hs_events (
  stream_id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  room INTEGER NOT NULL REFERENCES hs_rooms (room),
  type TEXT NOT NULL,
  state_key TEXT,
  sender TEXT NOT NULL,
  origin_server_ts INTEGER NOT NULL,
  content TEXT NOT NULL,
  -- stream_id of the state event that this one replaced.
  replaces INTEGER,
  -- stream_id of the redaction that emptied this one.
  redacted_by INTEGER,
  redacts TEXT,
  -- The event that this one relates to, with the kind of relation.
  relates_to TEXT,
  rel_type TEXT,
  txn_scope TEXT,
  txn_id TEXT,
  -- Comma-separated numbers of the appservices that get this event, decided when it was written.
  interest TEXT
) STRICT;
-- Timelines and pagination.
CREATE INDEX hs_events_by_room ON hs_events (room, stream_id);
-- What changed in a room's state during a gap of a sync.
CREATE INDEX hs_events_state_by_room ON hs_events (room, stream_id) WHERE state_key IS NOT NULL;
-- Idempotent sends: each is looked up before it is written, within the write. Transaction id first, as senders tend to count up.
CREATE INDEX hs_events_by_txn ON hs_events (txn_id, sender) WHERE txn_id IS NOT NULL;
-- GET /relations.
CREATE INDEX hs_events_by_relation ON hs_events (relates_to, stream_id) WHERE relates_to IS NOT NULL;

CREATE TABLE hs_room_state (
  room INTEGER NOT NULL,
  type TEXT NOT NULL,
  state_key TEXT NOT NULL,
  stream_id INTEGER NOT NULL,
  membership TEXT,
  PRIMARY KEY (room, type, state_key)
) STRICT, WITHOUT ROWID;
-- The rooms of a user: syncs, joined_rooms, profile changes.
CREATE INDEX hs_room_state_by_user ON hs_room_state (state_key, membership) WHERE type = 'm.room.member';

CREATE TABLE hs_forgotten (
  user_id TEXT NOT NULL,
  room INTEGER NOT NULL,
  PRIMARY KEY (user_id, room)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_aliases (
  alias TEXT PRIMARY KEY,
  room INTEGER NOT NULL,
  creator TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hs_aliases_by_room ON hs_aliases (room);

CREATE TABLE hs_receipts (
  room INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  receipt_type TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  ts INTEGER NOT NULL,
  stream_id INTEGER NOT NULL,
  PRIMARY KEY (room, user_id, receipt_type, thread_id)
) STRICT, WITHOUT ROWID;
-- What appservices and syncs have not seen yet.
CREATE INDEX hs_receipts_by_stream ON hs_receipts (stream_id);
CREATE INDEX hs_receipts_by_room ON hs_receipts (room, stream_id);

-- room 0 stands for global account data.
CREATE TABLE hs_account_data (
  user_id TEXT NOT NULL,
  room INTEGER NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  stream_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, room, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX hs_account_data_by_stream ON hs_account_data (user_id, stream_id);
-- Only for the highest number at start.
CREATE INDEX hs_account_data_stream ON hs_account_data (stream_id);

CREATE TABLE hs_filters (
  filter_id INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL,
  filter TEXT NOT NULL,
  UNIQUE (user_id, filter)
) STRICT;

CREATE TABLE hs_media (
  media_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  content_type TEXT,
  filename TEXT,
  -- NULL until the content has arrived (asynchronous upload).
  size_bytes INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_to_device (
  stream_id INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL
) STRICT;
CREATE INDEX hs_to_device_by_device ON hs_to_device (user_id, device_id, stream_id);

-- Remembers which sendToDevice requests were already done.
CREATE TABLE hs_to_device_txns (
  user_id TEXT NOT NULL,
  txn_scope TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, txn_scope, txn_id, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX hs_to_device_txns_by_age ON hs_to_device_txns (created_at);

CREATE TABLE hs_device_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  keys TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_one_time_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_fallback_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_cross_signing_keys (
  user_id TEXT NOT NULL,
  usage TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (user_id, usage)
) STRICT, WITHOUT ROWID;

-- When a user's keys last changed, for device_lists in syncs.
CREATE TABLE hs_key_changes (
  user_id TEXT PRIMARY KEY,
  stream_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hs_key_changes_by_stream ON hs_key_changes (stream_id);
