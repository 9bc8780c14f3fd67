ALTER TABLE messages DROP COLUMN refused_since;
ALTER TABLE messages DROP COLUMN failing_since;
