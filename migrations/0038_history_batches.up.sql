-- A bridge brings history in batches. An event's position in its room is its place in the stream,
-- but for history from before all that the room has: that counts down from -1.
ALTER TABLE hs_events ADD COLUMN history_place INTEGER;
-- When history was stored, in milliseconds since 1970; null for news.
ALTER TABLE hs_events ADD COLUMN history_at INTEGER;
ALTER TABLE hs_events ADD COLUMN position INTEGER GENERATED ALWAYS AS (coalesce(history_place, stream_id)) VIRTUAL;

DROP INDEX hs_events_by_room;
CREATE INDEX hs_events_by_room ON hs_events (room, position);

DROP INDEX hs_events_by_relation;
CREATE INDEX hs_events_by_relation ON hs_events (relates_to, position) WHERE relates_to IS NOT NULL;
