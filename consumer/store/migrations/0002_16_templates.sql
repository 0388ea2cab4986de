-- Templates go, once nothing needs them: when a channel last took or left one is kept with it.
-- Forward only; never edited after a release.
ALTER TABLE template ADD COLUMN needed_at timestamptz NOT NULL DEFAULT clock_timestamp();
