-- Captions that the network sent back to the queue, by lane: they go before what waits behind their
-- files.
CREATE INDEX messages_captions_waiting ON messages (lane) WHERE caption_of is not null and status in ('queued', 'sending');
