-- A page of a namespace's channels, in the order that is asked for; on a tie by id.
SELECT c.id, c.namespace, c.key, c.type, c.name, c.url, c.format, c.headers, c.signing_secret, c.metadata, c.disabled_by,
       c.disabled_reason, c.retry_schedule, c.concurrency, c.expire_after, c.rate_limit, c.created_at, c.updated_at,
       c.deleted_at, c.paused_until
FROM configured_channel c
CROSS JOIN LATERAL (
    SELECT CASE @order_by::text
               WHEN 'type' THEN c.type
               WHEN 'createdAt' THEN to_char(c.created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
               WHEN 'updatedAt' THEN to_char(c.updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
               ELSE c.id
           END COLLATE "C" AS by) o
WHERE c.namespace = @namespace
  AND (@with_deleted::boolean OR c.deleted_at IS NULL)
  AND (@with_disabled::boolean OR c.disabled_by IS NULL)
ORDER BY
    CASE WHEN NOT @descending::boolean THEN o.by END,
    CASE WHEN @descending::boolean THEN o.by END DESC,
    CASE WHEN NOT @descending::boolean THEN c.id END COLLATE "C",
    CASE WHEN @descending::boolean THEN c.id END COLLATE "C" DESC
LIMIT @limit::int
OFFSET @offset::bigint
