-- What is open, what is due, and for how long. What waits for another delivery is not due. Counts stop at
-- a million: beyond it the exact number is of no use.
WITH open AS (
    SELECT state, due_at
    FROM delivery
    WHERE due_at IS NOT NULL
    LIMIT 1000000
),
outbox AS (
    SELECT count(*) FILTER (WHERE state = 'PENDING')::int AS pending,
           count(*) FILTER (WHERE state = 'SENDING')::int AS sending,
           count(*) FILTER (WHERE state = 'RESENDING')::int AS resending,
           count(*) FILTER (WHERE due_at <= clock_timestamp())::int AS due,
           coalesce(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE due_at <= clock_timestamp())), 0)::float8
               AS oldest_seconds
    FROM open
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
SELECT o.pending, o.sending, o.resending, o.due, o.oldest_seconds,
       c.enabled, c.paused, c.disabled_by_person, c.disabled_by_tollbell
FROM outbox o
CROSS JOIN channels c
