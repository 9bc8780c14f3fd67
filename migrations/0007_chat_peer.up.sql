-- Matrix user id of whom a dm is with: on networks that can't look anybody up they are found by nothing else.
ALTER TABLE chats ADD COLUMN peer text;
CREATE INDEX chats_peer ON chats (identity_id,peer) WHERE peer is not null;
