DROP INDEX devices_platform;
DROP INDEX sandbox_portal_unfinished;
