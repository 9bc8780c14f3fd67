-- Until when the network lets a device start no new chats.
ALTER TABLE devices ADD COLUMN restricted_until INTEGER;
