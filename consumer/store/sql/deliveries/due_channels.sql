-- Channels with something due, found by a loose index scan: a step for each channel with open deliveries, not for each
-- delivery. Disabled and deleted channels are left out; paused ones are due when their pause is over, and those whose
-- rate is spent when half of a burst is free again: no delivery of theirs moves.
-- `most`: what the rate, or a breaker that waits for its probe, leaves to claim at once; NULL where neither counts.
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
next AS MATERIALIZED (
    -- The next of either kind. One that waits for another delivery is due at no time.
    SELECT o.channel_id,
           least(
               (SELECT d.due_at
                FROM delivery d
                WHERE d.channel_id = o.channel_id
                  AND NOT d.recovered
                  AND d.due_at < 'infinity'
                ORDER BY d.due_at
                LIMIT 1),
               (SELECT d.due_at
                FROM delivery d
                WHERE d.channel_id = o.channel_id
                  AND d.recovered
                  AND d.due_at < 'infinity'
                ORDER BY d.due_at
                LIMIT 1)) AS due_at
    FROM open o
    WHERE o.channel_id IS NOT NULL
)
SELECT n.channel_id, c.namespace, c.concurrency,
       extract(epoch FROM greatest(
           n.due_at, p.paused_until, p.open_until, p.probe_until,
           s.slots_from - (b.burst - greatest(floor(b.burst / 2), 1)) / c.rate_limit * interval '1 second'
       ) - now.now)::float8 AS due_in,
       CASE
           WHEN p.open_until IS NOT NULL THEN 1
           WHEN c.rate_limit IS NOT NULL THEN
               greatest(1, floor(b.burst - extract(epoch FROM s.slots_from - now.now)::float8 * c.rate_limit))::int
       END AS most
FROM next n
JOIN channel c ON c.id = n.channel_id
JOIN channel_pace p ON p.channel_id = c.id
CROSS JOIN LATERAL (SELECT clock_timestamp() AS now) now
CROSS JOIN LATERAL (SELECT greatest(floor(c.rate_limit * @burst_seconds::float8), 1) AS burst) b
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.rate_limit IS NOT NULL THEN
               greatest(now.now, least(coalesce(p.slots_from, now.now),
                                       now.now + b.burst / c.rate_limit * interval '1 second'))
           END AS slots_from) s
WHERE n.due_at IS NOT NULL
  AND c.disabled_by IS NULL
  AND c.deleted_at IS NULL
