-- What is open, what is due, and for how long; that also without what waits for a paused channel. What waits for
-- another delivery is not due. Counts stop at a million: beyond it the exact number is of no use.
-- Counted by channel, and each channel's pace looked up by its key: a join with all that is open has no plan that is
-- right for both none and a million.
WITH open AS (
    SELECT channel_id, state, due_at
    FROM delivery
    WHERE due_at IS NOT NULL
    LIMIT 1000000
),
by_channel AS (
    SELECT channel_id,
           count(*) FILTER (WHERE state = 'PENDING') AS pending,
           count(*) FILTER (WHERE state = 'SENDING') AS sending,
           count(*) FILTER (WHERE state = 'RESENDING') AS resending,
           count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
           min(due_at) FILTER (WHERE due_at <= clock_timestamp()) AS oldest
    FROM open
    GROUP BY channel_id
),
outbox AS (
    SELECT coalesce(sum(b.pending), 0)::int AS pending,
           coalesce(sum(b.sending), 0)::int AS sending,
           coalesce(sum(b.resending), 0)::int AS resending,
           coalesce(sum(b.due), 0)::int AS due,
           coalesce(extract(epoch FROM clock_timestamp() - min(b.oldest)), 0)::float8 AS oldest_seconds,
           coalesce(extract(epoch FROM clock_timestamp()
                                       - min(b.oldest) FILTER (WHERE p.is_paused IS NOT TRUE)), 0)::float8
               AS oldest_sendable_seconds
    FROM by_channel b
    LEFT JOIN LATERAL (
        SELECT p.open_until IS NOT NULL OR coalesce(p.paused_until > clock_timestamp(), false) AS is_paused
        FROM channel_pace p
        WHERE p.channel_id = b.channel_id
        LIMIT 1
    ) p ON true
),
channels AS (
    SELECT count(*) FILTER (WHERE c.disabled_by IS NULL AND NOT p.is_paused)::int AS enabled,
           count(*) FILTER (WHERE c.disabled_by IS NULL AND p.is_paused)::int AS paused,
           count(*) FILTER (WHERE c.disabled_by = 'person')::int AS disabled_by_person,
           count(*) FILTER (WHERE c.disabled_by = 'tollbell')::int AS disabled_by_tollbell
    FROM channel c
    JOIN (SELECT channel_id, open_until IS NOT NULL OR coalesce(paused_until > clock_timestamp(), false) AS is_paused
          FROM channel_pace) p ON p.channel_id = c.id
    WHERE c.deleted_at IS NULL
)
SELECT o.pending, o.sending, o.resending, o.due, o.oldest_seconds, o.oldest_sendable_seconds,
       c.enabled, c.paused, c.disabled_by_person, c.disabled_by_tollbell
FROM outbox o
CROSS JOIN channels c
