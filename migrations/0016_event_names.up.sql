-- The event feed by name: those asked for may be few among a million others.
CREATE INDEX inbox_events_kind ON inbox_events (identity_id,name,seq);
