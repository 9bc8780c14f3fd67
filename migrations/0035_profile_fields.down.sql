ALTER TABLE hs_users DROP COLUMN fields;
