-- All channels of a namespace that are not deleted.
SELECT id, key, type, name, url, format, headers, signing_secret, metadata::text AS metadata, disabled_by,
       retry_schedule, concurrency, expire_after, rate_limit
FROM channel
WHERE namespace = @namespace
  AND deleted_at IS NULL
ORDER BY id
