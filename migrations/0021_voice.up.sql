-- The shape of a voice message's sound; and captions that went as messages of their own, as their
-- networks would have dropped them.
ALTER TABLE media ADD COLUMN waveform text;
ALTER TABLE messages ADD COLUMN caption_of text;
