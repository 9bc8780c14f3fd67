-- What waits for a device that was deleted is never sent, also once it is linked again: messages with a `seq` up to this one. Null when none waits.
ALTER TABLE devices ADD COLUMN void_through integer;
