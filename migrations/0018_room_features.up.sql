-- Features of the chats' networks, as their bridges state them. Nearly all chats of a network have
-- the same, so a chat names its own by a digest.
CREATE TABLE room_features (
  digest text NOT NULL PRIMARY KEY,
  content text NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE chats ADD COLUMN features text;
