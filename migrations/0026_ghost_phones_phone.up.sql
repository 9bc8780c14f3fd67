-- Under which ids somebody whose number is known may have been written to before it was.
CREATE INDEX ghost_phones_phone ON ghost_phones (device_row_id, phone) WHERE phone IS NOT NULL;
