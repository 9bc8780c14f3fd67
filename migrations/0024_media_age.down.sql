DROP INDEX sandbox_media_by_age;
DROP INDEX hs_media_by_age;
