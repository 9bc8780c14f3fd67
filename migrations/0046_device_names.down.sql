ALTER TABLE devices DROP COLUMN own_name;
