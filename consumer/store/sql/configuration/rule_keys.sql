-- The ids of a namespace's rules by key, but of those that are deleted.
SELECT key, id
FROM rule
WHERE namespace = @namespace
  AND key = ANY (@keys::text[])
  AND deleted_at IS NULL
