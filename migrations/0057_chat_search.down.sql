DELETE FROM settings WHERE name = 'history_indexed';
DROP TABLE chat_search;
