-- A message that is accepted has no room yet. SQLite builds a table of the three statuses whenever it
-- compares with them, which is a tenth of an insert; it looks at the room first now.
DROP INDEX messages_unread;
CREATE INDEX messages_unread ON messages (room_id,seq)
  WHERE room_id is not null and status in ('submitted', 'sent', 'delivered');
