-- End those of these deliveries that no attempt will end: the channel is deleted or disabled, or it is too late. What is in
-- flight ends when its attempt is recorded, or when its lease has run out, which shows as `interrupted`; a resend that
-- waits for that end makes it neither expired nor too old. Rows that somebody works on are left for the next sweep.
-- Lock order: deliveries by id; none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT d.id, d.event_id, d.token, d.attempts,
           CASE
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL THEN 'channel_disabled'
               WHEN NOT d.never_expires AND d.created_at + c.expire_after < clock_timestamp() THEN 'expired'
               ELSE 'too_old'
           END AS reason
    FROM delivery d
    JOIN channel c ON c.id = d.channel_id
    WHERE d.id = ANY (@ids::bigint[])
      AND d.due_at IS NOT NULL
      AND (d.token IS NULL OR d.due_at < clock_timestamp())
      AND (c.deleted_at IS NOT NULL
           OR c.disabled_by IS NOT NULL
           OR (NOT d.resend_asked
               AND ((NOT d.never_expires AND d.created_at + c.expire_after < clock_timestamp())
                    OR d.round_from < clock_timestamp() - @longest_round::interval)))
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
),
lost AS (
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)
    SELECT o.event_id, o.id, o.attempts + 1, clock_timestamp(), 'interrupted', 0, 'the lease ran out: its sender died or hung', ''
    FROM over o
    WHERE o.token IS NOT NULL
    ON CONFLICT DO NOTHING
)
UPDATE delivery d
SET state = 'FAILED',
    due_at = NULL,
    token = NULL,
    attempts = d.attempts + (o.token IS NOT NULL)::int,
    resend_asked = false,
    ended_at = clock_timestamp(),
    reason = o.reason
FROM over o
WHERE d.id = o.id
RETURNING d.id, d.channel_id, d.event_id, d.reason
