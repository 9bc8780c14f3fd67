-- The gateway's own tables. Instants are milliseconds since the Unix epoch. A table whose key is a text is that key's index.
CREATE TABLE appservice_transactions (
  txn_id text PRIMARY KEY NOT NULL,
  received_at integer NOT NULL
) WITHOUT ROWID;

CREATE TABLE chats (
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
  PRIMARY KEY(identity_id, room_id),
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE INDEX chats_room ON chats (room_id);
CREATE INDEX chats_channel ON chats (identity_id,platform,channel_id);
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
  inbox_seq integer NOT NULL,
  lane text NOT NULL,
  status text NOT NULL,
  attempts integer NOT NULL,
  last_status integer,
  last_error text,
  settled_at integer,
  created_at integer NOT NULL
);

CREATE UNIQUE INDEX deliveries_id ON deliveries (id);
CREATE INDEX deliveries_waiting ON deliveries (lane,seq) WHERE status = 'pending';
CREATE INDEX deliveries_webhook ON deliveries (identity_id,webhook_id,seq);
CREATE TABLE delivery_lanes (
  lane text PRIMARY KEY NOT NULL,
  endpoint text NOT NULL,
  due_at integer NOT NULL,
  lease_id text
) WITHOUT ROWID;

CREATE INDEX delivery_lanes_due ON delivery_lanes (endpoint,due_at);
CREATE TABLE device_paces (
  device_row_id text PRIMARY KEY NOT NULL,
  rest_at integer NOT NULL
) WITHOUT ROWID;

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
  updated_at integer NOT NULL,
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE UNIQUE INDEX devices_login ON devices (identity_id,platform,login_id);
CREATE TABLE early_statuses (
  event_id text PRIMARY KEY NOT NULL,
  status text NOT NULL,
  reason text,
  received_at integer NOT NULL
) WITHOUT ROWID;

CREATE TABLE held_events (
  seq integer PRIMARY KEY NOT NULL,
  identity_id text NOT NULL,
  room_id text NOT NULL,
  event text NOT NULL
);

CREATE INDEX held_events_room ON held_events (identity_id,room_id);
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
) WITHOUT ROWID;

CREATE UNIQUE INDEX identities_matrix_user_id_unique ON identities (matrix_user_id);
CREATE TABLE inbox_events (
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

CREATE UNIQUE INDEX inbox_events_event ON inbox_events (identity_id,event_id);
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
) WITHOUT ROWID;

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
);

CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE INDEX messages_event ON messages (event_id) WHERE event_id is not null;
CREATE INDEX messages_unread ON messages (room_id,seq) WHERE status in ('sent', 'delivered');
CREATE INDEX messages_identity ON messages (identity_id,seq);
CREATE INDEX messages_waiting ON messages (lane,seq) WHERE status in ('queued', 'sending');
CREATE TABLE outbox_lanes (
  lane text PRIMARY KEY NOT NULL,
  device_row_id text NOT NULL,
  due_at integer NOT NULL,
  lease_id text,
  has_slot integer NOT NULL
) WITHOUT ROWID;

CREATE INDEX outbox_lanes_due ON outbox_lanes (due_at);
CREATE TABLE profiles (
  matrix_user_id text PRIMARY KEY NOT NULL,
  display_name text NOT NULL
) WITHOUT ROWID;

CREATE TABLE resolved_recipients (
  device_row_id text NOT NULL,
  recipient_key text NOT NULL,
  room_id text NOT NULL,
  resolved_at integer NOT NULL,
  PRIMARY KEY(device_row_id, recipient_key),
  FOREIGN KEY (device_row_id) REFERENCES devices(id) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;

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

CREATE UNIQUE INDEX tokens_token_hash_unique ON tokens (token_hash);
CREATE INDEX tokens_identity ON tokens (identity_id);
CREATE TABLE webhooks (
  identity_id text NOT NULL,
  id integer NOT NULL,
  url text NOT NULL,
  active integer NOT NULL,
  secret_sealed text NOT NULL,
  disabled_reason text,
  created_at integer NOT NULL,
  updated_at integer NOT NULL,
  PRIMARY KEY(identity_id, id),
  FOREIGN KEY (identity_id) REFERENCES identities(id) ON UPDATE no action ON DELETE no action
) WITHOUT ROWID;

CREATE UNIQUE INDEX webhooks_url ON webhooks (identity_id,url);
