DROP INDEX hs_events_by_id;
