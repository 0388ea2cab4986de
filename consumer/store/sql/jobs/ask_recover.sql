-- Ask that everything a channel has not got be sent again, of events created in a span of time: an event's id begins
-- with it. Made only where the channel is there and neither deleted nor disabled. Returns one row: the job's id or
-- NULL, and what is wrong.
-- The deliverers are notified when it commits; people ask seldom.
WITH channel_now AS MATERIALIZED (
    SELECT c.id, c.rounds_end_before, CASE WHEN c.disabled_by IS NOT NULL THEN 'is disabled' END AS wrong
    FROM channel c
    WHERE c.id = @channel_id
      AND c.namespace = @namespace
      AND c.deleted_at IS NULL
),
asked AS (
    INSERT INTO job (id, namespace, kind, channel_id, since, since_event, after_event, until, before_event, total)
    SELECT @id, @namespace, 'recover', c.id, @since, @since_id, @since_id, @until, @until_id,
           (SELECT count(*)
            FROM delivery d
            WHERE d.channel_id = c.id
              AND d.state = 'FAILED'
              AND d.due_at IS NULL
              AND d.event_id >= @since_id
              AND (@until_id::text IS NULL OR d.event_id < @until_id))
           + (SELECT count(*)
              FROM delivery d
              WHERE d.channel_id = c.id
                AND d.due_at IS NOT NULL
                AND (d.round_from < c.rounds_end_before
                     OR (d.token IS NULL AND d.state = 'SENDING' AND d.due_at < 'infinity'))
                AND d.event_id >= @since_id
                AND (@until_id::text IS NULL OR d.event_id < @until_id))
    FROM channel_now c
    WHERE c.wrong IS NULL
    RETURNING id
)
SELECT (SELECT id FROM asked) AS id,
       coalesce((SELECT c.wrong FROM channel_now c), 'is not there') AS wrong,
       pg_notify('tollbell_jobs', '')::text AS notified
