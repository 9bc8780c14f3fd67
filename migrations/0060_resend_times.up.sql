-- When a message that the network sent back may go again, whatever else its lane does meanwhile.
ALTER TABLE messages ADD COLUMN resend_at integer;
