-- Messages from before the history are taken into it while the gateway runs: up to these rows.
INSERT INTO settings (name, value)
  SELECT 'earlier_sent', '[0,' || seq || ']' FROM (SELECT max(seq) AS seq FROM messages) WHERE seq IS NOT NULL;
INSERT INTO settings (name, value)
  SELECT 'earlier_events', '[0,' || seq || ']' FROM (SELECT max(seq) AS seq FROM events) WHERE seq IS NOT NULL;
