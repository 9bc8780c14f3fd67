-- Bridges attached by `meshgate bridge add`. Tokens and secrets are sealed.
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
);
CREATE UNIQUE INDEX bridges_registration_id_unique ON bridges (registration_id);
