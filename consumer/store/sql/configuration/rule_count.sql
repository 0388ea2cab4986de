-- How many rules there are on all pages.
SELECT count(*)::int AS total
FROM configured_rule r
WHERE r.namespace = @namespace
  AND (@with_deleted::boolean OR r.deleted_at IS NULL)
  AND (@with_disabled::boolean OR NOT r.disabled)
  AND (@features::text[] IS NULL OR r.spec::jsonb -> 'features' ?| @features::text[])
  AND (@channels::text[] IS NULL OR r.channels && @channels::text[])
