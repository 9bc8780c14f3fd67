ALTER TABLE messages DROP COLUMN caption_of;
ALTER TABLE media DROP COLUMN waveform;
