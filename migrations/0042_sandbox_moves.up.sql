-- Direct chats by number of phones that have a hidden id, and the rooms that are with the number.
ALTER TABLE sandbox_phone ADD COLUMN chats_by_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandbox_portal ADD COLUMN by_number INTEGER NOT NULL DEFAULT 0;
