-- What the sandbox's bridge said of messages that it refused, so that it says the same when it is told of them again after a crash.
CREATE TABLE sandbox_refusal (
  event_id TEXT PRIMARY KEY NOT NULL,
  refusal TEXT NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sandbox_refusal_age ON sandbox_refusal (at);
