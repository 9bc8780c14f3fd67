DROP TABLE sandbox_block;
DROP TABLE sandbox_read;
DELETE FROM sandbox_delivery WHERE seq IN (SELECT seq FROM sandbox_message WHERE type IN ('read', 'change'));
DELETE FROM sandbox_message WHERE type IN ('read', 'change');
DROP INDEX sandbox_chat_avatar;
ALTER TABLE sandbox_member DROP COLUMN is_admin;
ALTER TABLE sandbox_chat DROP COLUMN disappearing_s;
ALTER TABLE sandbox_chat DROP COLUMN avatar;
ALTER TABLE sandbox_chat DROP COLUMN topic;
