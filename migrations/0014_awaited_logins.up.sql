-- Logins that were asked for and aren't devices yet: what is sent to such an account from `since` on is received, however late its link is noticed.
CREATE TABLE awaited_logins (
  identity_id text NOT NULL REFERENCES identities (id),
  platform text NOT NULL,
  since integer NOT NULL,
  PRIMARY KEY (identity_id, platform)
) STRICT, WITHOUT ROWID;
