ALTER TABLE sandbox_portal DROP COLUMN by_number;
ALTER TABLE sandbox_phone DROP COLUMN chats_by_number;
