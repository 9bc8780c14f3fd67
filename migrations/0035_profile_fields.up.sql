-- A profile's fields beside name and avatar, as a JSON object.
ALTER TABLE hs_users ADD COLUMN fields TEXT;
