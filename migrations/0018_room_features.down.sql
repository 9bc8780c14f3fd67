ALTER TABLE chats DROP COLUMN features;
DROP TABLE room_features;
