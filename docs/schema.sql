-- Printed from the migrations by `make schema`; a test compares.

CREATE TABLE appservice_transactions (
  txn_id text PRIMARY KEY NOT NULL,
  received_at integer NOT NULL
) WITHOUT ROWID;

CREATE TABLE awaited_logins (
  identity_id text NOT NULL REFERENCES identities (id),
  platform text NOT NULL,
  since integer NOT NULL,
  PRIMARY KEY (identity_id, platform)
) STRICT, WITHOUT ROWID;

CREATE TABLE bridges (
  platform TEXT PRIMARY KEY NOT NULL,
  url TEXT NOT NULL,
  registration_id TEXT NOT NULL,
  sender_localpart TEXT NOT NULL,
  bot_localpart TEXT NOT NULL,
  as_token_sealed TEXT NOT NULL,
  hs_token_sealed TEXT NOT NULL,
  -- Null for a bridge that has no provisioning API.
  secret_sealed TEXT,
  -- JSON: the users, and where there are any the aliases, that belong to the bridge.
  namespaces TEXT NOT NULL,
  -- JSON array of words, null when somebody else runs the bridge.
  command TEXT,
  dir TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
, version TEXT, pending_update TEXT);

CREATE UNIQUE INDEX bridges_registration_id_unique ON bridges (registration_id);

CREATE TABLE chat_messages (
  seq integer PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  event_id text NOT NULL,
  room_id text NOT NULL,
  device_row_id text NOT NULL,
  sender_user_id text NOT NULL,
  direction text NOT NULL,
  kind text NOT NULL,
  text text NOT NULL,
  content text,
  reply_to text,
  relates_to text,
  sent_at integer NOT NULL,
  stored_at integer NOT NULL,
  deleted_at integer
, message_id text, media_id text, edited_at integer);

CREATE INDEX chat_messages_device ON chat_messages (device_row_id);

CREATE UNIQUE INDEX chat_messages_event ON chat_messages (identity_id,event_id);

CREATE INDEX `chat_messages_found` ON `chat_messages` ((sent_at << 21) | (seq & 2097151)) WHERE relates_to is null;

CREATE INDEX chat_messages_media ON chat_messages (media_id) WHERE media_id is not null;

CREATE INDEX chat_messages_related ON chat_messages (identity_id,relates_to) WHERE relates_to is not null;

CREATE UNIQUE INDEX chat_messages_sent ON chat_messages (message_id) WHERE message_id is not null;

CREATE INDEX chat_messages_shown ON chat_messages (identity_id,room_id,sent_at,seq) WHERE relates_to is null;

CREATE VIRTUAL TABLE chat_search USING fts5(
  scope, text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');

CREATE TABLE "chats" (
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
  moved_to text, activity_at integer NOT NULL DEFAULT 0, unread_count integer NOT NULL DEFAULT 0, avatar text, topic text, member_count integer, muted integer NOT NULL DEFAULT false, archived integer NOT NULL DEFAULT false,
  PRIMARY KEY(identity_id, room_id),
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE INDEX chats_active ON chats (identity_id,activity_at,id) WHERE moved_to is null and kind in ('dm', 'group', 'channel', 'status');

CREATE INDEX chats_channel ON chats (identity_id,platform,channel_id);

CREATE INDEX chats_groups ON chats (identity_id,platform) WHERE kind = 'group';

CREATE UNIQUE INDEX chats_id ON chats (id);

CREATE INDEX chats_moved ON chats (moved_to) WHERE moved_to is not null;

CREATE INDEX chats_peer ON chats (identity_id,peer) WHERE peer is not null;

CREATE INDEX chats_room ON chats (room_id);

CREATE INDEX chats_unfinished ON chats (updated_at) WHERE membership in ('invited', 'joining');

CREATE TABLE contacts (
  device_row_id text NOT NULL,
  matrix_user_id text NOT NULL,
  name text NOT NULL,
  phone text,
  seen_at integer NOT NULL,
  PRIMARY KEY(device_row_id, matrix_user_id),
  FOREIGN KEY (device_row_id) REFERENCES devices(id) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;

CREATE INDEX contacts_phone ON contacts (device_row_id, phone) WHERE phone IS NOT NULL;

CREATE TABLE credentials (
  client_id text PRIMARY KEY NOT NULL,
  secret_hash text NOT NULL,
  role text NOT NULL,
  scopes text NOT NULL,
  description text NOT NULL,
  active integer NOT NULL,
  created_at integer NOT NULL,
  updated_at integer NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
  seq integer PRIMARY KEY NOT NULL,
  id text NOT NULL,
  identity_id text NOT NULL,
  webhook_id integer NOT NULL,
  event_seq integer NOT NULL,
  lane text NOT NULL,
  status text NOT NULL,
  attempts integer NOT NULL,
  last_status integer,
  last_error text,
  settled_at integer,
  created_at integer NOT NULL
, uncounted_attempts integer DEFAULT 0 NOT NULL, last_at integer, last_latency_ms integer, last_response text);

CREATE INDEX deliveries_dead ON deliveries (identity_id,webhook_id,event_seq) WHERE status = 'dead';

CREATE UNIQUE INDEX deliveries_event ON deliveries (identity_id,webhook_id,event_seq);

CREATE UNIQUE INDEX deliveries_id ON deliveries (id);

CREATE INDEX deliveries_waiting ON deliveries (lane,event_seq) WHERE status = 'pending';

CREATE TRIGGER deliveries_removed AFTER DELETE ON deliveries
BEGIN
  DELETE FROM delivery_attempts WHERE delivery_seq = old.seq;
END;

CREATE TABLE delivery_attempts (
  delivery_seq integer NOT NULL,
  attempt integer NOT NULL,
  at integer NOT NULL,
  status integer,
  error text,
  latency_ms integer,
  response text,
  PRIMARY KEY(delivery_seq, attempt)
) WITHOUT ROWID;

CREATE TABLE delivery_lanes (
  lane text PRIMARY KEY NOT NULL,
  endpoint text NOT NULL,
  due_at integer NOT NULL,
  lease_id text
) WITHOUT ROWID;

CREATE INDEX delivery_lanes_due ON delivery_lanes (endpoint,due_at);

CREATE TABLE devices (
  id text PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  platform text NOT NULL,
  login_id text NOT NULL,
  device_id text NOT NULL,
  phone text,
  name text NOT NULL,
  ghost_user_id text,
  state text NOT NULL,
  state_reason text,
  state_since integer NOT NULL,
  linked_at integer NOT NULL,
  created_at integer NOT NULL,
  updated_at integer NOT NULL, receives_from integer, removed_at integer, discarded_through integer, restricted_until INTEGER, own_name text,
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE UNIQUE INDEX devices_login ON devices (identity_id,platform,login_id);

CREATE INDEX devices_platform ON devices (platform, identity_id) WHERE removed_at is null;

CREATE TABLE "events" (
  seq integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  identity_id text NOT NULL,
  event_id text NOT NULL,
  name text NOT NULL,
  room_id text NOT NULL,
  device_row_id text NOT NULL,
  sender_user_id text NOT NULL,
  media_id text,
  payload text NOT NULL,
  received_at integer NOT NULL
);

CREATE UNIQUE INDEX events_event ON events (identity_id,event_id);

CREATE INDEX events_feed ON events (identity_id,seq);

CREATE INDEX events_kind ON events (identity_id,name,seq);

CREATE TRIGGER events_removed AFTER DELETE ON events
BEGIN
  UPDATE identities SET feed_gone_seq = old.seq WHERE id = old.identity_id AND feed_gone_seq < old.seq;
END;

CREATE TABLE ghost_phones (
  matrix_user_id text NOT NULL,
  device_row_id text NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
  phone text,
  asked_at integer NOT NULL,
  PRIMARY KEY (matrix_user_id, device_row_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ghost_phones_phone ON ghost_phones (device_row_id, phone) WHERE phone IS NOT NULL;

CREATE TABLE held_events (
  seq integer PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  room_id text NOT NULL,
  event text NOT NULL
);

CREATE INDEX held_events_room ON held_events (identity_id,room_id);

CREATE TABLE hs_account_data (
  user_id TEXT NOT NULL,
  room INTEGER NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  stream_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, room, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_account_data_by_stream ON hs_account_data (user_id, stream_id);

CREATE INDEX hs_account_data_stream ON hs_account_data (stream_id);

CREATE TABLE hs_aliases (
  alias TEXT PRIMARY KEY,
  room INTEGER NOT NULL,
  creator TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_aliases_by_room ON hs_aliases (room);

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

CREATE TABLE hs_counter (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  stream_id INTEGER NOT NULL
) STRICT;

CREATE TABLE hs_cross_signing_keys (
  user_id TEXT NOT NULL,
  usage TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (user_id, usage)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_device_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  keys TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_devices (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  display_name TEXT,
  token_hash TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX hs_devices_by_token ON hs_devices (token_hash) WHERE token_hash IS NOT NULL;

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
, history_place INTEGER, taken_at INTEGER, position INTEGER GENERATED ALWAYS AS (coalesce(history_place, stream_id)) VIRTUAL, is_history INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE INDEX hs_events_annotations ON hs_events (
  relates_to, sender, CASE WHEN json_valid(content) THEN json_extract(content, '$."m.relates_to".key') END
) WHERE rel_type = 'm.annotation';

CREATE INDEX hs_events_by_id ON hs_events (event_id);

CREATE INDEX hs_events_by_relation ON hs_events (relates_to, position) WHERE relates_to IS NOT NULL;

CREATE INDEX hs_events_by_room ON hs_events (room, position);

CREATE INDEX hs_events_by_txn ON hs_events (txn_id, sender) WHERE txn_id IS NOT NULL;

CREATE INDEX hs_events_state ON hs_events (room, type, state_key, stream_id) WHERE state_key IS NOT NULL;

CREATE TABLE hs_fallback_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_filters (
  filter_id INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL,
  filter TEXT NOT NULL,
  UNIQUE (user_id, filter)
) STRICT;

CREATE TABLE hs_forgotten (
  user_id TEXT NOT NULL,
  room INTEGER NOT NULL,
  PRIMARY KEY (user_id, room)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_key_changes (
  user_id TEXT PRIMARY KEY,
  stream_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_key_changes_by_stream ON hs_key_changes (stream_id);

CREATE TABLE hs_media (
  media_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  content_type TEXT,
  filename TEXT,
  -- NULL until the content has arrived (asynchronous upload).
  size_bytes INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_media_by_age ON hs_media (created_at, media_id);

CREATE TABLE hs_one_time_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hs_profile_changes (
  user_id TEXT PRIMARY KEY,
  room INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE INDEX hs_receipts_by_room ON hs_receipts (room, stream_id);

CREATE INDEX hs_receipts_by_stream ON hs_receipts (stream_id);

CREATE TABLE hs_room_state (
  room INTEGER NOT NULL,
  type TEXT NOT NULL,
  state_key TEXT NOT NULL,
  stream_id INTEGER NOT NULL,
  membership TEXT,
  PRIMARY KEY (room, type, state_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_room_state_by_user ON hs_room_state (state_key, membership) WHERE type = 'm.room.member';

CREATE TABLE hs_rooms (
  room INTEGER PRIMARY KEY,
  room_id TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  created_at INTEGER NOT NULL
, had_messages INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE hs_to_device (
  stream_id INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL
) STRICT;

CREATE INDEX hs_to_device_by_device ON hs_to_device (user_id, device_id, stream_id);

CREATE TABLE hs_to_device_txns (
  user_id TEXT NOT NULL,
  txn_scope TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, txn_scope, txn_id, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX hs_to_device_txns_by_age ON hs_to_device_txns (created_at);

CREATE TABLE hs_users (
  user_id TEXT PRIMARY KEY,
  displayname TEXT,
  avatar_url TEXT,
  created_at INTEGER NOT NULL
, fields TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  holder text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  answer_sealed text,
  created_at integer NOT NULL,
  PRIMARY KEY(holder, key)
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE identities (
  id text PRIMARY KEY NOT NULL,
  matrix_user_id text NOT NULL,
  matrix_device_id text NOT NULL,
  access_token_sealed text,
  sync_token text,
  is_host integer NOT NULL,
  next_webhook_id integer DEFAULT 1 NOT NULL,
  created_at integer NOT NULL,
  updated_at integer NOT NULL
, feed_read_at integer, feed_gone_seq integer DEFAULT 0 NOT NULL) WITHOUT ROWID;

CREATE UNIQUE INDEX identities_matrix_user_id_unique ON identities (matrix_user_id);

CREATE TABLE media (
  id text PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  file_name text NOT NULL,
  mime_type text NOT NULL,
  size_bytes integer NOT NULL,
  width integer NOT NULL,
  height integer NOT NULL,
  duration_ms integer NOT NULL,
  blur_hash text NOT NULL,
  mxc_uri text,
  stored integer NOT NULL,
  created_at integer NOT NULL,
  updated_at integer NOT NULL
, waveform text, source_url TEXT) WITHOUT ROWID;

CREATE INDEX media_awaited ON media (identity_id, created_at) WHERE source_url is not null;

CREATE INDEX media_used ON media (identity_id,size_bytes) WHERE stored = 1;

CREATE TABLE messages (
  seq integer PRIMARY KEY NOT NULL,
  id text NOT NULL,
  identity_id text NOT NULL,
  device_row_id text NOT NULL,
  lane text NOT NULL,
  recipient_kind text NOT NULL,
  recipient text NOT NULL,
  text text,
  media_id text,
  reply_to text,
  status text NOT NULL,
  reason text,
  attempts integer NOT NULL,
  resends integer NOT NULL,
  room_id text,
  event_id text,
  created_at integer NOT NULL,
  updated_at integer NOT NULL
, expires_at integer, failing_since integer, refused_since integer, caption_of text, content TEXT, metadata TEXT, send_at INTEGER, act TEXT, target TEXT, deleted_at INTEGER, resend_at integer);

CREATE INDEX messages_captions_waiting ON messages (lane) WHERE caption_of is not null and status in ('queued', 'sending');

CREATE INDEX messages_event ON messages (event_id) WHERE event_id is not null;

CREATE INDEX messages_expiring ON messages (expires_at) WHERE status = 'queued' and expires_at is not null;

CREATE UNIQUE INDEX messages_id ON messages (id);

CREATE INDEX messages_identity ON messages (identity_id,seq);

CREATE INDEX messages_media ON messages (media_id) WHERE media_id is not null;

CREATE INDEX messages_scheduled ON messages (send_at) WHERE status = 'scheduled';

CREATE INDEX messages_scheduled_lanes ON messages (lane) WHERE status = 'scheduled';

CREATE INDEX messages_silent ON messages (updated_at) WHERE status = 'submitted';

CREATE INDEX messages_target ON messages (target, seq) WHERE target is not null;

CREATE INDEX messages_unread ON messages (room_id,seq)
  WHERE room_id is not null and status in ('submitted', 'sent', 'delivered');

CREATE INDEX messages_waiting ON messages (lane,seq) WHERE status in ('queued', 'sending');

CREATE TABLE outbox_devices (
  device_row_id text PRIMARY KEY NOT NULL,
  due_at integer NOT NULL,
  next_send_at integer NOT NULL
) WITHOUT ROWID;

CREATE INDEX outbox_devices_due ON outbox_devices (due_at);

CREATE TABLE outbox_lanes (
  lane text PRIMARY KEY NOT NULL,
  device_row_id text NOT NULL,
  due_at integer NOT NULL,
  lease_id text) WITHOUT ROWID;

CREATE INDEX outbox_lanes_due ON outbox_lanes (device_row_id,due_at);

CREATE TRIGGER outbox_lanes_opened AFTER INSERT ON outbox_lanes
BEGIN
  INSERT INTO outbox_devices (device_row_id, due_at, next_send_at) VALUES (new.device_row_id, new.due_at, 0)
    ON CONFLICT (device_row_id) DO UPDATE SET due_at = max(excluded.due_at, next_send_at)
    WHERE max(excluded.due_at, next_send_at) < due_at;
END;

CREATE TRIGGER outbox_lanes_waiting AFTER UPDATE OF due_at ON outbox_lanes WHEN new.lease_id IS NULL
BEGIN
  INSERT INTO outbox_devices (device_row_id, due_at, next_send_at) VALUES (new.device_row_id, new.due_at, 0)
    ON CONFLICT (device_row_id) DO UPDATE SET due_at = max(excluded.due_at, next_send_at)
    WHERE max(excluded.due_at, next_send_at) < due_at;
END;

CREATE TABLE profiles (
  matrix_user_id text PRIMARY KEY NOT NULL,
  display_name text NOT NULL
) WITHOUT ROWID;

CREATE TABLE replays (
  identity_id text NOT NULL,
  webhook_id integer NOT NULL,
  since integer NOT NULL,
  until integer NOT NULL,
  only_failed integer NOT NULL,
  done_seq integer NOT NULL,
  last_seq integer NOT NULL,
  created_at integer NOT NULL,
  PRIMARY KEY(identity_id, webhook_id)
);

CREATE TABLE resolved_recipients (
  device_row_id text NOT NULL,
  recipient_key text NOT NULL,
  room_id text NOT NULL,
  resolved_at integer NOT NULL, matrix_user_id text,
  PRIMARY KEY(device_row_id, recipient_key),
  FOREIGN KEY (device_row_id) REFERENCES devices(id) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;

CREATE INDEX resolved_recipients_room ON resolved_recipients (device_row_id, room_id);

CREATE TABLE room_features (
  digest text NOT NULL PRIMARY KEY,
  content text NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sandbox_block (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;

CREATE TABLE sandbox_chat (
  id TEXT PRIMARY KEY NOT NULL,
  platform TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('dm', 'group')),
  -- groups only: the id by which the platform knows it, its name and its invite code
  group_id TEXT,
  name TEXT,
  invite_code TEXT,
  created_at INTEGER NOT NULL
, posts TEXT CHECK (posts IN ('channel', 'status')), owner TEXT, topic TEXT, avatar TEXT, disappearing_s INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE INDEX sandbox_chat_avatar ON sandbox_chat (avatar) WHERE avatar IS NOT NULL;

CREATE UNIQUE INDEX sandbox_chat_group ON sandbox_chat (platform, group_id) WHERE group_id IS NOT NULL;

CREATE UNIQUE INDEX sandbox_chat_invite ON sandbox_chat (platform, invite_code) WHERE invite_code IS NOT NULL;

CREATE TABLE sandbox_contact (
  phone TEXT NOT NULL,
  contact TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (phone, contact)
) WITHOUT ROWID;

CREATE INDEX sandbox_contact_of ON sandbox_contact (contact, phone);

CREATE TABLE sandbox_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  platform TEXT NOT NULL,
  login_id TEXT NOT NULL,
  chat TEXT NOT NULL,
  seq INTEGER NOT NULL,
  backfill INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX sandbox_delivery_once ON sandbox_delivery (seq, login_id);

CREATE TABLE sandbox_event (
  event_id TEXT PRIMARY KEY NOT NULL,
  room_id TEXT NOT NULL,
  message_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX sandbox_event_message ON sandbox_event (message_id, room_id);

CREATE TABLE sandbox_ghost (
  user_id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL
, avatar TEXT) WITHOUT ROWID;

CREATE TABLE sandbox_inbox (
  phone TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (phone, seq)
) WITHOUT ROWID;

CREATE TABLE sandbox_login (
  platform TEXT NOT NULL,
  id TEXT NOT NULL,
  phone TEXT NOT NULL,
  user_id TEXT NOT NULL,
  linked_at INTEGER NOT NULL,
  PRIMARY KEY (platform, id)
) WITHOUT ROWID;

CREATE INDEX sandbox_login_user ON sandbox_login (platform, user_id, linked_at);

CREATE TABLE sandbox_management_room (
  platform TEXT NOT NULL,
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  PRIMARY KEY (platform, user_id)
) WITHOUT ROWID;

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

CREATE INDEX sandbox_media_by_age ON sandbox_media (created_at, id);

CREATE UNIQUE INDEX sandbox_media_mxc ON sandbox_media (mxc) WHERE mxc IS NOT NULL;

CREATE TABLE sandbox_member (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL, is_admin INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;

CREATE INDEX sandbox_member_phone ON sandbox_member (phone, chat);

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
, details TEXT);

CREATE INDEX sandbox_message_chat ON sandbox_message (chat, seq);

CREATE INDEX sandbox_message_media ON sandbox_message (media_id, sent_at) WHERE media_id IS NOT NULL;

CREATE INDEX sandbox_message_target ON sandbox_message (target) WHERE target IS NOT NULL;

CREATE TABLE sandbox_phone (
  phone TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  echo INTEGER NOT NULL DEFAULT 1,
  -- JSON array of the platforms the number exists on
  platforms TEXT NOT NULL,
  two_factor TEXT,
  created_at INTEGER NOT NULL
, chats_by_number INTEGER NOT NULL DEFAULT 0, avatar TEXT) WITHOUT ROWID;

CREATE INDEX sandbox_phone_avatar ON sandbox_phone (avatar) WHERE avatar IS NOT NULL;

CREATE TABLE sandbox_portal (
  login_id TEXT NOT NULL,
  chat TEXT NOT NULL,
  platform TEXT NOT NULL,
  user_id TEXT NOT NULL,
  room_id TEXT, by_number INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (login_id, chat)
) WITHOUT ROWID;

CREATE UNIQUE INDEX sandbox_portal_room ON sandbox_portal (room_id) WHERE room_id IS NOT NULL;

CREATE INDEX sandbox_portal_unfinished ON sandbox_portal (platform) WHERE room_id IS NULL;

CREATE TABLE sandbox_read (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;

CREATE TABLE sandbox_refusal (
  event_id TEXT PRIMARY KEY NOT NULL,
  refusal TEXT NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sandbox_refusal_age ON sandbox_refusal (at);

CREATE TABLE sandbox_setting (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);

CREATE TABLE settings (
  name text PRIMARY KEY NOT NULL,
  value text NOT NULL
) WITHOUT ROWID;

CREATE TABLE tokens (
  id integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  token_hash text NOT NULL,
  identity_id text NOT NULL,
  credential_id text,
  is_admin integer NOT NULL,
  expires_at integer,
  last_used_at integer,
  created_at integer NOT NULL,
  updated_at integer NOT NULL,
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action,
  FOREIGN KEY (credential_id) REFERENCES credentials(client_id) ON UPDATE no action ON DELETE cascade
);

CREATE INDEX tokens_credential ON tokens (credential_id,created_at,identity_id,id);

CREATE INDEX tokens_identity ON tokens (identity_id);

CREATE UNIQUE INDEX tokens_token_hash_unique ON tokens (token_hash);

CREATE TABLE "unmatched_statuses" (
  event_id text NOT NULL,
  sender text NOT NULL,
  status text NOT NULL,
  reason text,
  received_at integer NOT NULL,
  PRIMARY KEY(event_id, sender, status)
) WITHOUT ROWID;

CREATE TABLE webhooks (
  identity_id text NOT NULL,
  id integer NOT NULL,
  url text NOT NULL,
  active integer NOT NULL,
  secret_sealed text NOT NULL,
  disabled_reason text,
  created_at integer NOT NULL,
  updated_at integer NOT NULL, events text, old_secret_sealed text, old_secret_until integer, headers_sealed text, failing_since integer, last_success_at integer, last_error text, last_error_at integer, filters TEXT, media TEXT,
  PRIMARY KEY(identity_id, id),
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE UNIQUE INDEX webhooks_url ON webhooks (identity_id,url);
