ALTER TABLE deliveries RENAME COLUMN uncounted_attempts TO forgiven;
