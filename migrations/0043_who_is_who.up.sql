-- Who answers to an address that was resolved, so that each way of writing it is one recipient.
ALTER TABLE resolved_recipients ADD COLUMN matrix_user_id text;
-- Rooms that a chat had before, so that whoever reads it has read what was sent there.
CREATE INDEX chats_moved ON chats (moved_to) WHERE moved_to is not null;
