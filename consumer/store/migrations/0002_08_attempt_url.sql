-- Attempts: where each went. A channel's URL may change between two attempts. Forward only; never edited after a release.

ALTER TABLE attempt
    ADD COLUMN url text;  -- scheme, host and port alone: the rest is often a secret; NULL: made by an older release, or cut off
