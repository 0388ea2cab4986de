-- Rounds that have begun with a template, and whether its channel has moved since. Forward only; never edited after a release.
ALTER TABLE delivery
    ADD COLUMN format_revision integer;                   -- its channel's when that last had its round's format
