-- Record ended attempts, many at once.
--
-- Guarantees. The attempt's row and a 2xx are recorded whoever holds the lease: the receiver has it. Every other change
-- needs the token that the attempt was claimed with. A row `interrupted` gives way to the truth, never the other way.
-- A delivery whose channel is gone or disabled ends with that reason instead of a retry.
-- A receiver that asks for it has its channel paused, or disabled by Tollbell.
-- Lock order: deliveries by id, then channels by id.
WITH ended AS MATERIALIZED (
    SELECT *
    FROM unnest(@ids::bigint[], @tokens::uuid[], @numbers::int[], @started::timestamptz[], @outcomes::text[],
                @statuses::smallint[], @durations::int[], @details::text[], @bodies::text[], @delivered::boolean[],
                @delays::interval[], @spends::boolean[], @pauses::interval[], @disables::text[])
         AS a (id, token, number, started_at, outcome, status, duration_ms, detail, body, delivered, delay, spends_step,
               pause, disable)
),
locked AS MATERIALIZED (
    SELECT d.id, d.token, d.state
    FROM delivery d
    WHERE d.id = ANY (@ids::bigint[])
    ORDER BY d.id
    FOR UPDATE
),
decided AS MATERIALIZED (
    SELECT a.*, d.event_id, d.channel_id,
           l.token IS NOT DISTINCT FROM a.token AS is_holder,
           CASE
               WHEN a.delivered THEN 'SUCCESS'
               WHEN a.delay IS NULL OR c.deleted_at IS NOT NULL OR c.disabled_by IS NOT NULL THEN 'FAILED'
               ELSE 'SENDING'
           END AS next_state,
           CASE
               WHEN a.disable IS NOT NULL THEN 'channel_disabled'
               WHEN a.delivered OR a.delay IS NULL THEN NULL
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL THEN 'channel_disabled'
           END AS reason
    FROM ended a
    JOIN locked l ON l.id = a.id
    JOIN delivery d ON d.id = a.id
    JOIN channel c ON c.id = d.channel_id
),
kept AS (
    INSERT INTO attempt AS k
        (event_id, delivery_id, number, started_at, outcome, status, duration_ms, detail, body, next_at)
    SELECT a.event_id, a.id, a.number, a.started_at, a.outcome, a.status, a.duration_ms, a.detail, a.body,
           CASE WHEN a.next_state = 'SENDING' AND a.is_holder THEN clock_timestamp() + a.delay END
    FROM decided a
    ORDER BY a.id, a.number
    ON CONFLICT (event_id, delivery_id, number) DO UPDATE
    SET started_at = excluded.started_at,
        outcome = excluded.outcome,
        status = excluded.status,
        duration_ms = excluded.duration_ms,
        detail = excluded.detail,
        body = excluded.body
    WHERE k.outcome = 'interrupted'
),
asked AS MATERIALIZED (
    -- What receivers ask of their channels, whoever holds the lease: to wait, or to stop.
    SELECT c.id, max(a.pause) AS pause, min(a.disable) AS disable
    FROM channel c
    JOIN decided a ON a.channel_id = c.id
    WHERE a.pause IS NOT NULL OR a.disable IS NOT NULL
    GROUP BY c.id
),
channels AS MATERIALIZED (
    SELECT c.id
    FROM channel c
    JOIN asked q ON q.id = c.id
    ORDER BY c.id
    FOR UPDATE OF c
),
told AS (
    UPDATE channel c
    SET paused_until = greatest(c.paused_until, clock_timestamp() + q.pause),
        disabled_by = CASE WHEN q.disable IS NULL THEN c.disabled_by ELSE coalesce(c.disabled_by, 'tollbell') END,
        disabled_reason = coalesce(c.disabled_reason, q.disable)
    FROM asked q
    JOIN channels l ON l.id = q.id
    WHERE c.id = q.id
),
moved AS (
    UPDATE delivery d
    SET state = a.next_state,
        due_at = CASE WHEN a.next_state = 'SENDING' THEN clock_timestamp() + a.delay END,
        ended_at = CASE WHEN a.next_state <> 'SENDING' THEN clock_timestamp() END,
        token = NULL,
        reason = a.reason,
        attempts = greatest(d.attempts, a.number),
        step = d.step + (a.spends_step AND a.is_holder)::int,
        interrupted = d.interrupted + (a.outcome = 'interrupted' AND a.is_holder)::int
    FROM decided a
    WHERE d.id = a.id
      AND (a.delivered OR (a.is_holder AND d.due_at IS NOT NULL))
    RETURNING d.id, d.state, d.due_at
)
SELECT m.id, m.state
FROM moved m
