-- What an operator of webhooks sees and does: the log of tries, replays, two secrets at a time, headers, the state of an endpoint.
ALTER TABLE webhooks ADD COLUMN old_secret_sealed text;
ALTER TABLE webhooks ADD COLUMN old_secret_until integer;
ALTER TABLE webhooks ADD COLUMN headers_sealed text;
ALTER TABLE webhooks ADD COLUMN failing_since integer;
ALTER TABLE webhooks ADD COLUMN last_success_at integer;
ALTER TABLE webhooks ADD COLUMN last_error text;
ALTER TABLE webhooks ADD COLUMN last_error_at integer;
ALTER TABLE deliveries ADD COLUMN forgiven integer DEFAULT 0 NOT NULL;
ALTER TABLE deliveries ADD COLUMN last_at integer;
ALTER TABLE deliveries ADD COLUMN last_latency_ms integer;
ALTER TABLE deliveries ADD COLUMN last_response text;
-- A lane goes by the order of events, and an event is delivered to a webhook under one id.
DROP INDEX deliveries_waiting;
CREATE INDEX deliveries_waiting ON deliveries (lane,inbox_seq) WHERE status = 'pending';
DROP INDEX deliveries_webhook;
CREATE UNIQUE INDEX deliveries_event ON deliveries (identity_id,webhook_id,inbox_seq);
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
CREATE TRIGGER deliveries_removed AFTER DELETE ON deliveries
BEGIN
  DELETE FROM delivery_attempts WHERE delivery_seq = old.seq;
END;
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
-- The event feed: an identity's events in their order, and whether a reader has missed some.
CREATE INDEX inbox_events_feed ON inbox_events (identity_id,seq);
ALTER TABLE identities ADD COLUMN feed_read_at integer;
ALTER TABLE identities ADD COLUMN feed_gone_seq integer DEFAULT 0 NOT NULL;
CREATE TRIGGER inbox_events_removed AFTER DELETE ON inbox_events
BEGIN
  UPDATE identities SET feed_gone_seq = old.seq WHERE id = old.identity_id AND feed_gone_seq < old.seq;
END;
