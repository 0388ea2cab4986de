-- A page of a namespace's rules, in the order that is asked for; on a tie by id. *features* as the rules name them. Of
-- those that have no room in *bytes*, in this order, there is no spec and no metadata; the first one has always room.
SELECT s.id, s.namespace, s.key, s.type, s.name, s.disabled, s.ignoring, s.created_at, s.updated_at, s.deleted_at,
       s.channels, s.has_room, s.size,
       CASE WHEN s.has_room THEN s.spec END AS spec,
       CASE WHEN s.has_room THEN s.metadata END AS metadata
FROM (
    SELECT p.*,
           octet_length(p.spec) + octet_length(p.metadata) AS size,
           p.n = min(p.n) OVER ()
               OR sum(octet_length(p.spec) + octet_length(p.metadata)) OVER (ORDER BY p.n) <= @bytes::bigint AS has_room
    FROM (
        SELECT r.*,
               row_number() OVER (
                   ORDER BY
                       CASE WHEN NOT @descending::boolean THEN o.by END,
                       CASE WHEN @descending::boolean THEN o.by END DESC,
                       CASE WHEN NOT @descending::boolean THEN r.id END COLLATE "C",
                       CASE WHEN @descending::boolean THEN r.id END COLLATE "C" DESC) AS n
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
          AND (@channels::text[] IS NULL
               OR r.id IN (SELECT rc.rule_id FROM rule_channel rc WHERE rc.channel_id = ANY (@channels::text[])))
        ORDER BY n
        LIMIT @limit::int
        OFFSET @offset::bigint) p) s
ORDER BY s.n
