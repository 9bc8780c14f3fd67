DROP INDEX devices_platform;
