DROP INDEX sandbox_contact_of;
ALTER TABLE sandbox_message DROP COLUMN details;
ALTER TABLE sandbox_chat DROP COLUMN owner;
ALTER TABLE sandbox_chat DROP COLUMN posts;
