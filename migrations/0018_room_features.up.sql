-- What the networks of chats take, as their bridges say. Nearly all chats of a network say the same, so a chat names what it says by a digest.
CREATE TABLE room_features (
  digest text NOT NULL PRIMARY KEY,
  content text NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE chats ADD COLUMN features text;
