-- The ids of a namespace's channels by key, but of those that are deleted.
SELECT key, id
FROM channel
WHERE namespace = @namespace
  AND key = ANY (@keys::text[])
  AND deleted_at IS NULL
