DROP INDEX messages_captions_waiting;
