DROP INDEX sandbox_phone_avatar;
ALTER TABLE sandbox_ghost DROP COLUMN avatar;
ALTER TABLE sandbox_phone DROP COLUMN avatar;
