ALTER TABLE devices DROP COLUMN restricted_until;
