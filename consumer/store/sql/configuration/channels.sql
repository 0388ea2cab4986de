-- All channels of a namespace that are not deleted.
SELECT c.*
FROM configured_channel c
WHERE c.namespace = @namespace
  AND c.deleted_at IS NULL
ORDER BY c.id
