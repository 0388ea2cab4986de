-- Remove the next documents whose period has ended by *over_by*, oldest first; what the clock has still to end stays.
-- A writer that holds one keeps it. One that comes later finds another version: none.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT e.namespace, e.id
    FROM entitlement e
    WHERE e.period_to >= coalesce(@after::timestamptz, '-infinity')
      AND e.period_to <= @over_by::timestamptz
      AND (e.ended OR e.deleted_at IS NOT NULL OR e.shown_at >= e.period_to OR e.active_to <= e.period_to)
    ORDER BY e.period_to
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM entitlement e
    USING over o
    WHERE e.namespace = o.namespace
      AND e.id = o.id
    RETURNING e.period_to
)
SELECT count(*)::int AS removed, max(period_to) AS last
FROM removed
