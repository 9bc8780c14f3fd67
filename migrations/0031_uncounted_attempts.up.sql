-- The column is named for what it counts: tries that do not count for the next wait.
ALTER TABLE deliveries RENAME COLUMN forgiven TO uncounted_attempts;
