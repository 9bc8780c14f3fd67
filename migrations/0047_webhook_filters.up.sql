-- Which events a webhook gets beside their names, a JSON object, and how it gets files; null: all of them, inline.
ALTER TABLE webhooks ADD COLUMN filters TEXT;
ALTER TABLE webhooks ADD COLUMN media TEXT;
