-- Finds out whose chat a room is, where the person hasn't written there yet.
CREATE INDEX resolved_recipients_room ON resolved_recipients (device_row_id, room_id);
