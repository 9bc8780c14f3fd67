DROP TABLE hs_profile_changes;
DROP INDEX hs_events_annotations;
CREATE INDEX hs_events_state_by_room ON hs_events (room, stream_id) WHERE state_key IS NOT NULL;
DROP INDEX hs_events_state;
