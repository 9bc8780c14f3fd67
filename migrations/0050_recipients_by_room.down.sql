DROP INDEX resolved_recipients_room;
