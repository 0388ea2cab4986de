-- A page of a namespace's rules, in the order that is asked for; on a tie by id. *features* as the rules name them.
SELECT r.id, r.namespace, r.key, r.type, r.name, r.spec, r.metadata, r.disabled, r.ignoring, r.created_at,
       r.updated_at, r.deleted_at, r.channels
FROM configured_rule r
CROSS JOIN LATERAL (
    SELECT CASE @order_by::text
               WHEN 'type' THEN r.type
               WHEN 'createdAt' THEN to_char(r.created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
               WHEN 'updatedAt' THEN to_char(r.updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
               ELSE r.id
           END COLLATE "C" AS by) o
WHERE r.namespace = @namespace
  AND (@with_deleted::boolean OR r.deleted_at IS NULL)
  AND (@with_disabled::boolean OR NOT r.disabled)
  AND (@features::text[] IS NULL OR r.spec::jsonb -> 'features' ?| @features::text[])
  AND (@channels::text[] IS NULL OR r.channels && @channels::text[])
ORDER BY
    CASE WHEN NOT @descending::boolean THEN o.by END,
    CASE WHEN @descending::boolean THEN o.by END DESC,
    CASE WHEN NOT @descending::boolean THEN r.id END COLLATE "C",
    CASE WHEN @descending::boolean THEN r.id END COLLATE "C" DESC
LIMIT @limit::int
OFFSET @offset::bigint
