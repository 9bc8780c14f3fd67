-- An event id no longer carries its place in the stream, which told whoever saw two of them how much went on in between.
-- Not unique, since nobody but us makes them: the check would cost each write, and 26 random bytes don't meet.
CREATE INDEX hs_events_by_id ON hs_events (event_id);
