-- A namespace's channels that a person should look at: disabled, paused, or failing since their last success; those
-- that Tollbell disabled first, then those that fail longest, those that a person disabled last. With the newest
-- attempt of each that has one.
SELECT c.id, c.name, c.disabled_by, c.disabled_reason, c.paused_until, c.failures, c.failing_since,
       a.event_id, a.started_at, a.outcome, a.status, a.detail
FROM (
    SELECT c.id, c.name, c.disabled_by, c.disabled_reason, p.failures, p.failing_since,
           nullif(greatest(p.paused_until, p.open_until, clock_timestamp()), clock_timestamp()) AS paused_until,
           row_number() OVER (
               ORDER BY CASE c.disabled_by WHEN 'tollbell' THEN 0 WHEN 'person' THEN 2 ELSE 1 END,
                        p.failing_since NULLS LAST,
                        c.id) AS n
    FROM channel c
    LEFT JOIN channel_pace p ON p.channel_id = c.id
    WHERE c.namespace = @namespace
      AND c.deleted_at IS NULL
      AND (c.disabled_by IS NOT NULL OR p.failing_since IS NOT NULL OR p.paused_until > clock_timestamp()
           OR p.open_until > clock_timestamp())
    ORDER BY n
    LIMIT @limit::int) c
LEFT JOIN LATERAL (
    SELECT d.id, d.event_id
    FROM (
        (SELECT o.id, o.event_id
         FROM delivery o
         WHERE o.channel_id = c.id
           AND o.due_at IS NOT NULL
           AND o.attempts > 0
         ORDER BY o.due_at
         LIMIT 1)
        UNION ALL
        (SELECT e.id, e.event_id
         FROM delivery e
         WHERE e.channel_id = c.id
           AND e.due_at IS NULL
           AND e.state = 'FAILED'
           AND e.attempts > 0
         ORDER BY e.event_id DESC
         LIMIT 1)) d
    ORDER BY d.event_id DESC
    LIMIT 1) d ON true
LEFT JOIN LATERAL (
    SELECT t.event_id, t.started_at, t.outcome, t.status, t.detail
    FROM attempt t
    WHERE t.event_id = d.event_id
      AND t.delivery_id = d.id
    ORDER BY t.number DESC
    LIMIT 1) a ON true
ORDER BY c.n
