-- A new revision, in the transaction of the change: seen by everybody together with it, or not at all. And when.
UPDATE catalog
SET revision = revision + 1
RETURNING revision, clock_timestamp() AS now
