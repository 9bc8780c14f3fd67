-- The picture (a file) of a phone's owner, and that which its ghost has.
ALTER TABLE sandbox_phone ADD COLUMN avatar TEXT;
ALTER TABLE sandbox_ghost ADD COLUMN avatar TEXT;
CREATE INDEX sandbox_phone_avatar ON sandbox_phone (avatar) WHERE avatar IS NOT NULL;
