-- The name that the API gave a device; null: it is called as its network calls it.
ALTER TABLE devices ADD COLUMN own_name text;
