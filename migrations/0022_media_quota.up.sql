-- How much the files of an identity take.
CREATE INDEX media_used ON media (identity_id,size_bytes) WHERE stored = 1;
