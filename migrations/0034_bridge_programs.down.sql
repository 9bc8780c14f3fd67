ALTER TABLE bridges DROP COLUMN pending_update;
ALTER TABLE bridges DROP COLUMN version;
