-- Ask that everything a channel failed to get be sent again, of events created since a time. Made only where the channel
-- is there and neither deleted nor disabled. Returns one row: the job's id or NULL, and what is wrong.
-- The deliverers are told when it commits; people ask seldom.
WITH channel_now AS MATERIALIZED (
    SELECT c.id, CASE WHEN c.disabled_by IS NOT NULL THEN 'is disabled' END AS wrong
    FROM channel c
    WHERE c.id = @channel_id
      AND c.namespace = @namespace
      AND c.deleted_at IS NULL
),
asked AS (
    INSERT INTO job (id, namespace, kind, channel_id, since, total)
    SELECT @id, @namespace, 'recover', c.id, @since,
           (SELECT count(*)
            FROM delivery d
            JOIN event e ON e.id = d.event_id
            WHERE d.channel_id = c.id
              AND d.state = 'FAILED'
              AND e.created_at >= @since)
    FROM channel_now c
    WHERE c.wrong IS NULL
    RETURNING id
)
SELECT (SELECT id FROM asked) AS id,
       coalesce((SELECT c.wrong FROM channel_now c), 'is not there') AS wrong,
       pg_notify('tollbell_jobs', '')::text AS told
