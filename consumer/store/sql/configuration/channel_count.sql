-- How many channels there are on all pages.
SELECT count(*)::int AS total
FROM configured_channel c
WHERE c.namespace = @namespace
  AND (@with_deleted::boolean OR c.deleted_at IS NULL)
  AND (@with_disabled::boolean OR c.disabled_by IS NULL)
