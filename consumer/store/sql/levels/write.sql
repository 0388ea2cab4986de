-- Write the coarse levels of entitlements, and nothing else: their versions stay.
--
-- A row that someone else writes now, or has written, is left, and so is a newer record's level. Nothing is waited for.
WITH locked AS MATERIALIZED (
    SELECT e.namespace, e.id, l.level, l.level_at
    FROM unnest(@namespaces::text[], @ids::text[], @versions::bigint[], @levels::smallint[], @leveled_at::timestamptz[])
         AS l (namespace, id, version, level, level_at)
    JOIN entitlement e ON e.namespace = l.namespace AND e.id = l.id
    WHERE e.version = l.version
      AND (e.level_at IS NULL OR e.level_at <= l.level_at)
    FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE entitlement e
SET level = l.level,
    level_at = l.level_at
FROM locked l
WHERE e.namespace = l.namespace
  AND e.id = l.id
RETURNING e.namespace, e.id
