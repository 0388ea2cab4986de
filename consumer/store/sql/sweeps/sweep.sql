-- End those of these deliveries that no attempt will end: the channel is deleted or disabled, or was disabled after the
-- round began; it is too late; or the senders died as often as the schedule has steps. What is in flight ends when its
-- attempt is recorded, or when its lease has run out, which shows as `interrupted`; a resend that waits for that end
-- makes it neither expired nor too old. What its receiver has from a round before is SUCCESS, as it was. Locked rows
-- are left for the next sweep. What waited for one that ends here is due now (one of a recovery in its place).
-- But what another transaction holds: another sweep that ends it would wait for what this one ends. `hold` finds it.
-- Lock order: deliveries by id; then those that waited, by id; none is waited for (SKIP LOCKED).
WITH over AS MATERIALIZED (
    SELECT d.id, d.event_id, d.token, d.attempts, c.key AS channel_key, c.name AS channel_name,
           CASE
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL OR d.round_from < c.rounds_end_before THEN 'channel_disabled'
               WHEN NOT d.never_expires AND d.created_at + c.expire_after < clock_timestamp() THEN 'expired'
               WHEN d.round_from < clock_timestamp() - @longest_round::interval THEN 'too_old'
           END AS reason
    FROM delivery d
    JOIN channel c ON c.id = d.channel_id
    WHERE d.id = ANY (@ids::bigint[])
      AND d.due_at IS NOT NULL
      AND (d.token IS NULL OR d.due_at < clock_timestamp())
      AND (c.deleted_at IS NOT NULL
           OR c.disabled_by IS NOT NULL
           OR d.round_from < c.rounds_end_before
           OR (NOT d.resend_asked
               AND ((NOT d.never_expires AND d.created_at + c.expire_after < clock_timestamp())
                    OR d.round_from < clock_timestamp() - @longest_round::interval
                    OR (d.token IS NOT NULL
                        AND d.interrupted >= @free_interruptions::int
                        AND d.step + 1 >= coalesce(cardinality(c.retry_schedule), @steps::int)))))
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
),
lost AS (
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)
    SELECT o.event_id, o.id, o.attempts + 1, clock_timestamp(), 'interrupted', 0,
           'the lease ran out: its sender died or hung', ''
    FROM over o
    WHERE o.token IS NOT NULL
    ON CONFLICT DO NOTHING
),
gone AS (
    UPDATE delivery d
    SET state = CASE WHEN d.received AND o.reason IS NOT NULL THEN 'SUCCESS' ELSE 'FAILED' END,
        due_at = NULL,
        token = NULL,
        attempts = d.attempts + (o.token IS NOT NULL)::int,
        resend_asked = false,
        ended_at = clock_timestamp(),
        reason = CASE WHEN NOT d.received THEN o.reason END
    FROM over o
    WHERE d.id = o.id
    RETURNING d.channel_id, d.event_id, d.state, d.reason, o.channel_key, o.channel_name
),
free AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    WHERE d.id = ANY (ARRAY(
              SELECT w.id
              FROM gone g
              CROSS JOIN LATERAL (
                  SELECT w.id
                  FROM delivery w
                  WHERE w.waits_for = g.event_id
                    AND w.channel_id = g.channel_id
                    AND w.state IN ('PENDING', 'SENDING', 'RESENDING')
                  LIMIT 100) w))
      AND d.id NOT IN (SELECT o.id FROM over o)
      AND d.due_at = 'infinity'
    ORDER BY d.id
    FOR UPDATE SKIP LOCKED
),
freed AS (
    UPDATE delivery d
    SET due_at = CASE WHEN d.recovered AND d.state = 'RESENDING' THEN d.round_from ELSE clock_timestamp() END
    WHERE d.id = ANY (ARRAY(SELECT f.id FROM free f))
)
SELECT g.event_id, e.rule_id, u.key AS rule_key, u.name AS rule_name, g.channel_id, g.channel_key, g.channel_name,
       g.state, g.reason, e.record
FROM gone g
-- Each by its own look into one partition, as a claim's.
LEFT JOIN LATERAL (SELECT v.rule_id, v.record FROM event v WHERE v.id = g.event_id LIMIT 1) e ON true
LEFT JOIN LATERAL (SELECT r.key, r.name FROM rule r WHERE r.id = e.rule_id LIMIT 1) u ON true
