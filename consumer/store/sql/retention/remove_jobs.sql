-- Remove the next resends and recoveries that had ended by *over_by*, oldest first; one that is open stays, however
-- old.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT j.id
    FROM job j
    WHERE j.ended_at >= coalesce(@after::timestamptz, '-infinity')
      AND j.ended_at <= @over_by::timestamptz
    ORDER BY j.ended_at
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM job j
    USING over o
    WHERE j.id = o.id
    RETURNING j.ended_at
)
SELECT count(*)::int AS removed, max(ended_at) AS last
FROM removed
