-- Retried requests: what each caller's Idempotency-Key stands for, and the answer to it (sealed; null while the request is under way).
CREATE TABLE idempotency_keys (
  holder text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  answer_sealed text,
  created_at integer NOT NULL,
  PRIMARY KEY(holder, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
-- When a message that still waits has failed; null: never by the clock alone.
ALTER TABLE messages ADD COLUMN expires_at integer;
CREATE INDEX messages_expiring ON messages (expires_at) WHERE status = 'queued' and expires_at is not null;
-- Which messages a file belongs to: it may only go when none of them needs it any more.
CREATE INDEX messages_media ON messages (media_id) WHERE media_id is not null;
