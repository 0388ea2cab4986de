-- A page of a namespace's channels, in the order that is asked for; on a tie by id. Of those that have no room in *bytes*,
-- in this order, there are no headers and no metadata; the first one has always room.
SELECT s.id, s.namespace, s.key, s.type, s.name, s.url, s.format, s.signing_secret, s.disabled_by, s.disabled_reason,
       s.retry_schedule, s.concurrency, s.expire_after, s.rate_limit, s.created_at, s.updated_at, s.deleted_at,
       s.paused_until, s.has_room, s.size,
       CASE WHEN s.has_room THEN s.headers END AS headers,
       CASE WHEN s.has_room THEN s.metadata END AS metadata
FROM (
    SELECT p.*,
           coalesce(octet_length(p.headers), 0) + octet_length(p.metadata) AS size,
           p.n = min(p.n) OVER ()
               OR sum(coalesce(octet_length(p.headers), 0) + octet_length(p.metadata)) OVER (ORDER BY p.n) <= @bytes::bigint
               AS has_room
    FROM (
        SELECT c.*,
               row_number() OVER (
                   ORDER BY
                       CASE WHEN NOT @descending::boolean THEN o.by END,
                       CASE WHEN @descending::boolean THEN o.by END DESC,
                       CASE WHEN NOT @descending::boolean THEN c.id END COLLATE "C",
                       CASE WHEN @descending::boolean THEN c.id END COLLATE "C" DESC) AS n
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
        ORDER BY n
        LIMIT @limit::int
        OFFSET @offset::bigint) p) s
ORDER BY s.n
