ALTER TABLE messages DROP COLUMN resend_at;
