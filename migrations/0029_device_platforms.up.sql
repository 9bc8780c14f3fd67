-- The probe asks for the devices of one platform after the other, of which most may have none.
CREATE INDEX devices_platform ON devices (platform, identity_id) WHERE removed_at is null;
