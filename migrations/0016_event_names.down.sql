DROP INDEX inbox_events_kind;
