-- Remove the next identities of events that were made by *over_by*, oldest first.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT i.identity
    FROM event_identity i
    WHERE i.created_at >= coalesce(@after::timestamptz, '-infinity')
      AND i.created_at <= @over_by::timestamptz
    ORDER BY i.created_at
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM event_identity i
    USING over o
    WHERE i.identity = o.identity
    RETURNING i.created_at
)
SELECT count(*)::int AS removed, max(created_at) AS last
FROM removed
