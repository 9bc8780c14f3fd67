-- A file that is still to be fetched from here: it is not on disk, and has no name.
ALTER TABLE media ADD COLUMN source_url TEXT;
CREATE INDEX media_awaited ON media (identity_id, created_at) WHERE source_url is not null;
