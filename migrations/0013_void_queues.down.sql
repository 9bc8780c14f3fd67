ALTER TABLE devices DROP COLUMN void_through;
