-- Work off a batch of the oldest recovery, without *but*, that nobody else works on: these deliveries and the job's progress
-- move together or not at all, so it is never done twice, and a killed worker leaves it where it was.
-- What had FAILED when it was asked for begins a new round, in the order of events: due a microsecond after one another.
-- `expire_after` holds. It stops where the channel was disabled or deleted meanwhile.
-- Lock order: the job (SKIP LOCKED), then deliveries by id.
WITH work AS MATERIALIZED (
    SELECT j.id, j.channel_id, j.after_event, j.created_at,
           CASE
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL THEN 'channel_disabled'
           END AS reason
    FROM job j
    JOIN channel c ON c.id = j.channel_id
    WHERE j.ended_at IS NULL
      AND j.kind = 'recover'
      AND j.id <> ALL (@but::text[])
    ORDER BY j.id
    LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
),
batch AS MATERIALIZED (
    SELECT d.id, d.event_id, row_number() OVER (ORDER BY d.event_id) AS n
    FROM work w
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id
        FROM delivery d
        WHERE d.channel_id = w.channel_id
          AND d.state = 'FAILED'
          AND d.due_at IS NULL
          AND d.event_id > w.after_event
          AND d.ended_at <= w.created_at
        ORDER BY d.event_id
        LIMIT @limit::int) d
    WHERE w.reason IS NULL
),
locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    JOIN batch b ON b.id = d.id
    WHERE d.state = 'FAILED'
    ORDER BY d.id
    FOR UPDATE OF d
),
begun AS MATERIALIZED (
    SELECT clock_timestamp() AS at, count(*) AS locked
    FROM locked
),
again AS (
    UPDATE delivery d
    SET state = 'RESENDING',
        due_at = g.at + b.n * interval '1 microsecond',
        ended_at = NULL,
        reason = NULL,
        step = 0,
        interrupted = 0,
        round = d.round + 1,
        round_from = g.at,
        never_expires = false
    FROM locked l
    JOIN batch b ON b.id = l.id
    CROSS JOIN begun g
    WHERE d.id = l.id
    RETURNING d.id
)
UPDATE job j
SET state = CASE
        WHEN w.reason IS NOT NULL THEN 'STOPPED'
        WHEN b.size < @limit::int THEN 'DONE'
        ELSE 'RUNNING'
    END,
    reason = w.reason,
    done = j.done + (SELECT count(*) FROM again),
    after_event = coalesce(b.last_event, j.after_event),
    started_at = coalesce(j.started_at, clock_timestamp()),
    ended_at = CASE WHEN w.reason IS NOT NULL OR b.size < @limit::int THEN clock_timestamp() END
FROM work w
CROSS JOIN (SELECT count(*) AS size, max(event_id) AS last_event FROM batch) b
WHERE j.id = w.id
RETURNING j.id, j.kind, j.state, j.reason, j.event_id, j.channel_id, j.total, j.done, j.created_at, j.started_at,
          j.ended_at
