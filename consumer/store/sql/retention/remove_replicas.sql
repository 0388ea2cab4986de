-- Remove the next processes that were silent since *over_by*: they have died.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT r.id
    FROM replica r
    WHERE r.seen_at >= coalesce(@after::timestamptz, '-infinity')
      AND r.seen_at <= @over_by::timestamptz
    ORDER BY r.seen_at
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM replica r
    USING over o
    WHERE r.id = o.id
    RETURNING r.seen_at
)
SELECT count(*)::int AS removed, max(seen_at) AS last
FROM removed
