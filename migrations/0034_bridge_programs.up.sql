-- The version of a bridge's program that we fetched, and a newer one that is to be tried.
ALTER TABLE bridges ADD COLUMN version TEXT;
ALTER TABLE bridges ADD COLUMN pending_update TEXT;
