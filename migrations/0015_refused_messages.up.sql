-- How long a message is being tried, and how long its bridge refuses it: not how long it has waited for its turn.
ALTER TABLE messages ADD COLUMN failing_since integer;
ALTER TABLE messages ADD COLUMN refused_since integer;
