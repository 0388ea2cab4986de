-- Lease due deliveries: of each channel at most as many as it has free slots. Safe from any number of processes: a row
-- locked by another is skipped, and a leased one is not due before its lease has run out.
-- A delivery that waits for another one is left until that has ended, however.
-- One past its channel's `expire_after` is left to the sweep.
-- A token found at the claim is a lease that ran out: its attempt is recorded as `interrupted`.
-- Lock order: none is waited for (SKIP LOCKED).
WITH slot AS MATERIALIZED (
    SELECT s.channel_id, s.free, c.expire_after
    FROM unnest(@channels::text[], @free::int[]) AS s (channel_id, free)
    JOIN channel c ON c.id = s.channel_id
    WHERE c.disabled_by IS NULL
      AND c.deleted_at IS NULL
      AND (c.paused_until IS NULL OR c.paused_until <= clock_timestamp())
),
picked AS MATERIALIZED (
    SELECT d.id, d.event_id, d.token, d.attempts, d.interrupted
    FROM slot s
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.token, d.attempts, d.interrupted
        FROM delivery d
        WHERE d.channel_id = s.channel_id
          AND d.due_at <= clock_timestamp()
          AND (s.expire_after IS NULL OR d.created_at + s.expire_after > clock_timestamp())
          AND NOT EXISTS (
              SELECT 1
              FROM delivery b
              WHERE b.event_id = d.waits_for
                AND b.channel_id = d.channel_id
                AND b.due_at IS NOT NULL)
        ORDER BY d.due_at, d.id
        LIMIT s.free
        FOR UPDATE SKIP LOCKED
    ) d
),
lost AS (
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)
    SELECT p.event_id, p.id, p.attempts + 1, clock_timestamp(), 'interrupted', 0, 'the lease ran out: its sender died or hung', ''
    FROM picked p
    WHERE p.token IS NOT NULL
    ON CONFLICT DO NOTHING
),
leased AS (
    UPDATE delivery d
    SET due_at = clock_timestamp() + @lease::interval,
        token = gen_random_uuid(),
        state = CASE WHEN d.state = 'PENDING' THEN 'SENDING' ELSE d.state END,
        attempts = d.attempts + (p.token IS NOT NULL)::int,
        interrupted = d.interrupted + (p.token IS NOT NULL)::int,
        step = d.step + (p.token IS NOT NULL AND d.interrupted >= @free_interruptions::int)::int
    FROM picked p
    WHERE d.id = p.id
    RETURNING d.id, d.event_id, d.channel_id, d.token, d.attempts, d.step, d.interrupted, p.token IS NOT NULL AS was_lost
)
SELECT l.id, l.event_id, l.channel_id, l.token, l.attempts, l.step, l.interrupted, l.was_lost,
       e.payload, e.recorded_at, c.url, c.format, c.headers, c.signing_secret,
       c.retry_schedule
FROM leased l
-- Each by its own look into one partition: as a plain join the planner reads all of them (tried: 20 ms became 220).
CROSS JOIN LATERAL (SELECT v.payload, v.recorded_at FROM event v WHERE v.id = l.event_id LIMIT 1) e
JOIN channel c ON c.id = l.channel_id
ORDER BY l.id
