-- These channels of a namespace that are not deleted, in id order.
SELECT c.*
FROM configured_channel c
WHERE c.id = ANY (@ids::text[])
  AND c.namespace = @namespace
  AND c.deleted_at IS NULL
ORDER BY c.id
