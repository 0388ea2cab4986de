-- A new revision, in the transaction of the change: seen by everybody together with it, or not at all.
UPDATE catalog
SET revision = revision + 1
RETURNING revision
