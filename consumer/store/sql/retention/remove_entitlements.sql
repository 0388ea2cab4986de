-- Remove the next documents whose period has ended by *over_by*, oldest first; what the clock has still to end stays
-- (memory/ended.sql). Of a period that never ends it is the deletion that counts, or active_to; without either it
-- stays.
-- So does one that was written since: a record that came after the period's end can be read again for longer.
-- A writer that holds one keeps it. One that comes later finds another version: none.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT e.namespace, e.id
    FROM entitlement e
    WHERE coalesce(e.period_to, e.deleted_at, e.active_to) >= coalesce(@after::timestamptz, '-infinity')
      AND coalesce(e.period_to, e.deleted_at, e.active_to) <= @over_by::timestamptz
      AND e.written_at <= @over_by::timestamptz
      AND (e.ended OR e.deleted_at IS NOT NULL OR (e.shown_at >= e.period_to AND e.fired_at IS NULL)
           OR e.active_to <= e.period_to OR (e.period_to IS NULL AND e.active_to IS NOT NULL))
    ORDER BY coalesce(e.period_to, e.deleted_at, e.active_to)
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM entitlement e
    USING over o
    WHERE e.namespace = o.namespace
      AND e.id = o.id
    RETURNING coalesce(e.period_to, e.deleted_at, e.active_to) AS over_at
)
SELECT count(*)::int AS removed, max(over_at) AS last
FROM removed
