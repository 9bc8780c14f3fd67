-- The room in which a chat goes on, once its bridge has closed this one.
ALTER TABLE chats ADD COLUMN moved_to text;
