DROP INDEX chats_groups;
