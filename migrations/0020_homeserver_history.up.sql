-- Finds a piece of a room's state at any place of the stream at once, however often it has changed
-- since.
CREATE INDEX hs_events_state ON hs_events (room, type, state_key, stream_id) WHERE state_key IS NOT NULL;
DROP INDEX hs_events_state_by_room;

-- Finds a reaction that somebody gave already. SQLite reads no JSON of more than 1,000 levels, which
-- earlier versions took.
CREATE INDEX hs_events_annotations ON hs_events (
  relates_to, sender, CASE WHEN json_valid(content) THEN json_extract(content, '$."m.relates_to".key') END
) WHERE rel_type = 'm.annotation';

-- Users whose changed profile isn't in the memberships of all their rooms yet: it is in those up to
-- this one.
CREATE TABLE hs_profile_changes (
  user_id TEXT PRIMARY KEY,
  room INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
