-- What only the newer version knows is forgotten, deliveries included.
DELETE FROM deliveries WHERE inbox_seq IN (SELECT seq FROM inbox_events WHERE name LIKE 'device.%');
DELETE FROM inbox_events WHERE name LIKE 'device.%';
ALTER TABLE webhooks DROP COLUMN events;
ALTER TABLE devices DROP COLUMN removed_at;
ALTER TABLE devices DROP COLUMN receives_from;
