DROP TRIGGER events_removed;
DROP INDEX events_kind;
DROP INDEX events_feed;
DROP INDEX events_event;
ALTER TABLE deliveries RENAME COLUMN event_seq TO inbox_seq;
ALTER TABLE events RENAME TO inbox_events;
CREATE UNIQUE INDEX inbox_events_event ON inbox_events (identity_id,event_id);
CREATE INDEX inbox_events_feed ON inbox_events (identity_id,seq);
CREATE INDEX inbox_events_kind ON inbox_events (identity_id,name,seq);
CREATE TRIGGER inbox_events_removed AFTER DELETE ON inbox_events
BEGIN
  UPDATE identities SET feed_gone_seq = old.seq WHERE id = old.identity_id AND feed_gone_seq < old.seq;
END;
