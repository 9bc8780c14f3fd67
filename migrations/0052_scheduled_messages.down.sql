DROP INDEX messages_scheduled_lanes;
DROP INDEX messages_scheduled;
-- The version before knows no such status. Too early is said: nothing is lost without a word.
UPDATE messages SET status = 'failed', reason = 'scheduled messages are not known to this version'
  WHERE status = 'scheduled';
