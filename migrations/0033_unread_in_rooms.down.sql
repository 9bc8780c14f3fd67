DROP INDEX messages_unread;
CREATE INDEX messages_unread ON messages (room_id,seq) WHERE status in ('submitted', 'sent', 'delivered');
