DROP INDEX hs_events_by_relation;
CREATE INDEX hs_events_by_relation ON hs_events (relates_to, stream_id) WHERE relates_to IS NOT NULL;

DROP INDEX hs_events_by_room;
CREATE INDEX hs_events_by_room ON hs_events (room, stream_id);

-- Without its place, history from before a room would be shown as its news.
DELETE FROM hs_events WHERE history_place IS NOT NULL;
ALTER TABLE hs_events DROP COLUMN position;
ALTER TABLE hs_events DROP COLUMN history_at;
ALTER TABLE hs_events DROP COLUMN history_place;
