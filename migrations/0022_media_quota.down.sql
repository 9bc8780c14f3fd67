DROP INDEX media_used;
