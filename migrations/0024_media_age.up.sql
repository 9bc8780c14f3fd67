-- Media of embedded homeserver and sandbox by age, to be forgotten.
CREATE INDEX hs_media_by_age ON hs_media (created_at, media_id);
CREATE INDEX sandbox_media_by_age ON sandbox_media (created_at, id);
