DROP INDEX sandbox_message_media;
