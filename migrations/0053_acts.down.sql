-- Nobody would know them for what they are.
DELETE FROM messages WHERE act IS NOT NULL;
DROP INDEX messages_target;
ALTER TABLE messages DROP COLUMN deleted_at;
ALTER TABLE messages DROP COLUMN target;
ALTER TABLE messages DROP COLUMN act;
