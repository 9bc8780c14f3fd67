-- The events of both directions are here, not only those of an inbox.
DROP INDEX inbox_events_kind;
DROP INDEX inbox_events_feed;
DROP INDEX inbox_events_event;
DROP TRIGGER inbox_events_removed;
ALTER TABLE inbox_events RENAME TO events;
ALTER TABLE deliveries RENAME COLUMN inbox_seq TO event_seq;
CREATE UNIQUE INDEX events_event ON events (identity_id,event_id);
CREATE INDEX events_feed ON events (identity_id,seq);
CREATE INDEX events_kind ON events (identity_id,name,seq);
CREATE TRIGGER events_removed AFTER DELETE ON events
BEGIN
  UPDATE identities SET feed_gone_seq = old.seq WHERE id = old.identity_id AND feed_gone_seq < old.seq;
END;
