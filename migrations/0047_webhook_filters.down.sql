ALTER TABLE webhooks DROP COLUMN media;
ALTER TABLE webhooks DROP COLUMN filters;
