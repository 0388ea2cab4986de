-- A recovery is not sent before what it recovers from has ended, nor the next episode before that recovery.
ALTER TABLE delivery
    ADD COLUMN waits_for text;                            -- the event whose delivery to the same channel comes first
