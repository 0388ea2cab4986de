-- Channels with something due, found by a loose index scan: a step for each channel with open deliveries, not for each
-- delivery. Paused, disabled and deleted channels are left out: no delivery of theirs moves.
WITH RECURSIVE open AS (
    (SELECT channel_id FROM delivery WHERE due_at IS NOT NULL ORDER BY channel_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.channel_id
            FROM delivery d
            WHERE d.due_at IS NOT NULL
              AND d.channel_id > o.channel_id
            ORDER BY d.channel_id
            LIMIT 1)
    FROM open o
    WHERE o.channel_id IS NOT NULL
),
next AS (
    SELECT o.channel_id,
           (SELECT d.due_at
            FROM delivery d
            WHERE d.channel_id = o.channel_id
              AND d.due_at IS NOT NULL
            ORDER BY d.due_at
            LIMIT 1) AS due_at
    FROM open o
    WHERE o.channel_id IS NOT NULL
)
SELECT n.channel_id, c.namespace, c.concurrency,
       extract(epoch FROM greatest(n.due_at, coalesce(c.paused_until, n.due_at)) - clock_timestamp())::float8 AS due_in
FROM next n
JOIN channel c ON c.id = n.channel_id
WHERE c.disabled_by IS NULL
  AND c.deleted_at IS NULL
