-- A page of a namespace's channels, in the order that is asked for; on a tie by id. Those that have no room in *bytes*,
-- in this order, come as their number alone; the first one has always room.
SELECT w.*, s.has_room, s.size
FROM (
    SELECT p.id, p.n, p.size,
           p.n = min(p.n) OVER () OR sum(p.size) OVER (ORDER BY p.n) <= @bytes::bigint AS has_room
    FROM (
        SELECT c.id,
               coalesce(octet_length(c.headers), 0) + coalesce(octet_length(c.sealed), 0) + octet_length(c.config)
                   + coalesce(octet_length(c.template), 0) AS size,
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
LEFT JOIN configured_channel w ON w.id = s.id AND s.has_room
ORDER BY s.n
