-- When the server took an event of a batch, news included: neither its id nor its own time tells.
ALTER TABLE hs_events RENAME COLUMN history_at TO taken_at;
-- 1: from before; nobody is to be told of it as news.
ALTER TABLE hs_events ADD COLUMN is_history INTEGER NOT NULL DEFAULT 0;
UPDATE hs_events SET is_history = 1 WHERE taken_at IS NOT NULL;

-- 1: messages of the room were forgotten. An empty room that is new gets history, this one news.
ALTER TABLE hs_rooms ADD COLUMN had_messages INTEGER NOT NULL DEFAULT 0;
