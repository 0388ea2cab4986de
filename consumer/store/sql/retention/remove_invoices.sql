-- Remove the next documents of invoices that were last written by *over_by*, oldest first.
-- Lock order: none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT i.namespace, i.id
    FROM invoice i
    WHERE i.written_at >= coalesce(@after::timestamptz, '-infinity')
      AND i.written_at <= @over_by::timestamptz
    ORDER BY i.written_at
    LIMIT @limit::int
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM invoice i
    USING over o
    WHERE i.namespace = o.namespace
      AND i.id = o.id
    RETURNING i.written_at
)
SELECT count(*)::int AS removed, max(written_at) AS last
FROM removed
