-- The probe asks for the devices of one platform after the other, of which most may have none.
CREATE INDEX devices_platform ON devices (platform, identity_id) WHERE removed_at is null;
-- A start looks for portals whose making was cut off, among tens of thousands that are made.
CREATE INDEX sandbox_portal_unfinished ON sandbox_portal (platform) WHERE room_id IS NULL;
