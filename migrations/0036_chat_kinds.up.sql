-- Channels and the chat of status posts were taken for groups.
UPDATE chats SET kind = 'status' WHERE channel_id = 'status@broadcast';
UPDATE chats SET kind = 'channel' WHERE kind = 'group' AND channel_id LIKE '%@newsletter';
