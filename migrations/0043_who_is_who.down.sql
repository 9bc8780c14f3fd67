DROP INDEX chats_moved;
ALTER TABLE resolved_recipients DROP COLUMN matrix_user_id;
