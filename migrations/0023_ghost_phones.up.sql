-- Whose number a Matrix user stands for that doesn't show it in its id, as a bridge told a device.
CREATE TABLE ghost_phones (
  matrix_user_id text NOT NULL,
  device_row_id text NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
  phone text,
  asked_at integer NOT NULL,
  PRIMARY KEY (matrix_user_id, device_row_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX contacts_phone ON contacts (device_row_id, phone) WHERE phone IS NOT NULL;
