-- Ask that an event be sent again: to the channels named, or (NULL) to all that its rule has now and all that got it.
-- Made only where the event is known, every channel named is one of those, neither deleted nor disabled, and there is
-- one. Returns one row: the job's id or NULL, whether the event is known, and what is wrong with which channel.
-- The deliverers are notified when it commits; people ask seldom.
WITH known AS MATERIALIZED (
    SELECT e.id, e.rule_id
    FROM event e
    WHERE e.id = @event_id
      AND e.namespace = @namespace
),
candidate AS MATERIALIZED (
    SELECT c.id,
           CASE WHEN c.deleted_at IS NOT NULL THEN 'is deleted'
                WHEN c.disabled_by IS NOT NULL THEN 'is disabled'
           END AS wrong
    FROM channel c
    WHERE c.id IN (
        SELECT rc.channel_id
        FROM known k
        JOIN rule r ON r.id = k.rule_id AND r.deleted_at IS NULL
        JOIN rule_channel rc ON rc.rule_id = r.id
        UNION
        SELECT d.channel_id
        FROM known k
        JOIN delivery d ON d.event_id = k.id)
),
wrong AS MATERIALIZED (
    SELECT n.id, CASE WHEN c.id IS NULL THEN 'is none of the event''s' ELSE c.wrong END AS wrong
    FROM unnest(@channels::text[]) AS n (id)
    LEFT JOIN candidate c ON c.id = n.id
    WHERE c.id IS NULL
       OR c.wrong IS NOT NULL
),
asked AS (
    INSERT INTO job (id, namespace, kind, event_id, channel_ids, total)
    SELECT @id, @namespace, 'resend', k.id, @channels::text[], n.total
    FROM known k
    CROSS JOIN (
        SELECT count(*) AS total
        FROM candidate c
        WHERE c.wrong IS NULL
          AND (@channels::text[] IS NULL OR c.id = ANY (@channels::text[]))) n
    WHERE NOT EXISTS (SELECT 1 FROM wrong)
      AND n.total > 0
    RETURNING id
)
SELECT (SELECT id FROM asked) AS id,
       EXISTS (SELECT 1 FROM known) AS is_known,
       (SELECT array_agg(w.id || ' ' || w.wrong ORDER BY w.id) FROM wrong w) AS wrong,
       pg_notify('tollbell_jobs', '')::text AS notified
