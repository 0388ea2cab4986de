-- Remove the next templates that no channel has had since *over_by*, and by which no open delivery is to be made: a
-- round ends with the one that it began with. Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT t.format
    FROM template t
    WHERE t.needed_at >= coalesce(@after::timestamptz, '-infinity')
      AND t.needed_at <= @over_by::timestamptz
      AND NOT EXISTS (SELECT FROM channel c WHERE c.format = t.format)
      AND NOT EXISTS (SELECT FROM delivery d WHERE d.format = t.format AND d.ended_at IS NULL)
    ORDER BY t.needed_at
    LIMIT @limit::int
    FOR UPDATE OF t SKIP LOCKED
),
removed AS (
    DELETE FROM template t
    USING over o
    WHERE t.format = o.format
    RETURNING t.needed_at
)
SELECT count(*)::int AS removed, max(needed_at) AS last
FROM removed
