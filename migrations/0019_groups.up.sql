-- The groups of an identity, which are few among its chats.
CREATE INDEX chats_groups ON chats (identity_id,platform) WHERE kind = 'group';
