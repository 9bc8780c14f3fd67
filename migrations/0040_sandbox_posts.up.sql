-- Channels and status posts are groups in which one phone posts; votes and calls have what others don't, as JSON.
ALTER TABLE sandbox_chat ADD COLUMN posts TEXT CHECK (posts IN ('channel', 'status'));
ALTER TABLE sandbox_chat ADD COLUMN owner TEXT;
ALTER TABLE sandbox_message ADD COLUMN details TEXT;
-- Who has somebody in the address book sees their status posts.
CREATE INDEX sandbox_contact_of ON sandbox_contact (contact, phone);
