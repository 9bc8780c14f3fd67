-- Scheduled messages are in no lane yet: they are found by their time, and by their device.
CREATE INDEX messages_scheduled ON messages (send_at) WHERE status = 'scheduled';
CREATE INDEX messages_scheduled_lanes ON messages (lane) WHERE status = 'scheduled';
