UPDATE chats SET kind = 'group' WHERE kind IN ('channel', 'status');
