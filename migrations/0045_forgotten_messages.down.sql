ALTER TABLE hs_rooms DROP COLUMN had_messages;

UPDATE hs_events SET taken_at = NULL WHERE taken_at IS NOT NULL AND is_history = 0;
ALTER TABLE hs_events DROP COLUMN is_history;
ALTER TABLE hs_events RENAME COLUMN taken_at TO history_at;
