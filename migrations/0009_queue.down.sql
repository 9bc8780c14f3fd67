DROP INDEX messages_media;
DROP INDEX messages_expiring;
ALTER TABLE messages DROP COLUMN expires_at;
DROP TABLE idempotency_keys;
