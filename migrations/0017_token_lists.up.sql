-- A credential's tokens in the order of their making, a page at a time.
CREATE INDEX tokens_credential ON tokens (credential_id,created_at,identity_id,id);
