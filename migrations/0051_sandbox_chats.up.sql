-- What a chat of the sandbox is: a group's topic, its picture (a file), and how long messages stay; who may remove others.
ALTER TABLE sandbox_chat ADD COLUMN topic TEXT;
ALTER TABLE sandbox_chat ADD COLUMN avatar TEXT;
ALTER TABLE sandbox_chat ADD COLUMN disappearing_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sandbox_member ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sandbox_chat_avatar ON sandbox_chat (avatar) WHERE avatar IS NOT NULL;
-- Every group has somebody who may.
UPDATE sandbox_member SET is_admin = 1 WHERE chat IN (SELECT id FROM sandbox_chat WHERE kind = 'group')
  AND phone = (SELECT min(phone) FROM sandbox_member AS other WHERE other.chat = sandbox_member.chat);

-- How far a phone has read a chat: the position of a message.
CREATE TABLE sandbox_read (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;

-- Who wants to hear nothing from the other in a direct chat.
CREATE TABLE sandbox_block (
  chat TEXT NOT NULL,
  phone TEXT NOT NULL,
  PRIMARY KEY (chat, phone)
) WITHOUT ROWID;
