-- The version before can't fetch them: their messages fail, as do those whose files are gone.
DROP INDEX media_awaited;
DELETE FROM media WHERE source_url IS NOT NULL;
ALTER TABLE media DROP COLUMN source_url;
