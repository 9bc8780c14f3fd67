-- A device logged out at its phone stays listed until it is deleted; until now the two were one.
ALTER TABLE devices ADD COLUMN receives_from integer;
ALTER TABLE devices ADD COLUMN removed_at integer;
UPDATE devices SET removed_at = state_since WHERE state = 'logged_out';
-- Which events a webhook asks for, as JSON; null: those about messages received.
ALTER TABLE webhooks ADD COLUMN events text;
