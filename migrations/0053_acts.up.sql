-- What is done to a message or a chat is a row as well: `act` names it, null for a message.
ALTER TABLE messages ADD COLUMN act TEXT;
-- The message that it is done to: its id, or its event's if it wasn't sent from here.
ALTER TABLE messages ADD COLUMN target TEXT;
-- When the message was taken back from those who got it.
ALTER TABLE messages ADD COLUMN deleted_at INTEGER;
CREATE INDEX messages_target ON messages (target, seq) WHERE target is not null;
