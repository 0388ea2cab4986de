-- Work off a batch of a recovery, without *but*, that no other process works on: these deliveries and the job's
-- progress move together or not at all, so it is never done twice, and a killed worker leaves it where it was. It is
-- the oldest one of the first namespace behind *after* that has one: they take turns.
-- What had not succeeded when it was asked for begins a new round: first what had FAILED, in the order of events, due a
-- microsecond after one another; then what waits for its next attempt, or is about to end as its channel was disabled;
-- last what the sweep has ended for that since: whichever of the two comes first, it belongs to the job. The new round
-- begins after the asking, so nothing is found twice.
-- What is in flight is left, and so is what waits for another delivery. One whose other is open waits for it. But what
-- was leased before its channel was disabled, and is to end for that: its round counts as begun now, with its whole
-- schedule.
-- What was in flight when it was asked for, and has failed since, is done too, though it was not counted: the total
-- grows.
-- `expire_after` holds. It stops where the channel was disabled or deleted meanwhile, if only for a moment.
-- Lock order: the job (SKIP LOCKED), then deliveries by id.
WITH work AS MATERIALIZED (
    SELECT j.id, j.channel_id, j.after_event, j.since_event, j.before_event, j.created_at, c.rounds_end_before,
           CASE
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL OR c.rounds_end_before > j.created_at THEN 'channel_disabled'
           END AS reason
    FROM job j
    JOIN channel c ON c.id = j.channel_id
    WHERE j.ended_at IS NULL
      AND j.kind = 'recover'
      AND j.namespace > @after
      AND j.id <> ALL (@but::text[])
    ORDER BY j.namespace, j.id
    LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
),
failed AS MATERIALIZED (
    SELECT d.id, d.event_id, d.waits_for
    FROM work w
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.waits_for
        FROM delivery d
        WHERE d.channel_id = w.channel_id
          AND d.state = 'FAILED'
          AND d.due_at IS NULL
          AND d.event_id > w.after_event
          AND (w.before_event IS NULL OR d.event_id < w.before_event)
          AND d.ended_at <= w.created_at
        ORDER BY d.event_id
        LIMIT @limit::int) d
    WHERE w.reason IS NULL
),
waiting AS MATERIALIZED (
    SELECT d.id, d.event_id, d.waits_for
    FROM work w
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.waits_for
        FROM delivery d
        WHERE d.channel_id = w.channel_id
          AND d.due_at IS NOT NULL
          AND d.round_from < w.created_at
          AND (d.round_from < w.rounds_end_before
               OR (d.token IS NULL AND d.state = 'SENDING' AND d.due_at < 'infinity'))
          AND d.event_id >= coalesce(w.since_event, '')
          AND (w.before_event IS NULL OR d.event_id < w.before_event)
        LIMIT @limit::int - (SELECT count(*) FROM failed)) d
    WHERE w.reason IS NULL
),
swept AS MATERIALIZED (
    SELECT d.id, d.event_id, d.waits_for
    FROM work w
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.waits_for
        FROM delivery d
        WHERE d.channel_id = w.channel_id
          AND d.state = 'FAILED'
          AND d.due_at IS NULL
          AND d.event_id >= coalesce(w.since_event, '')
          AND (w.before_event IS NULL OR d.event_id < w.before_event)
          AND d.reason = 'channel_disabled'
          AND d.ended_at > w.created_at
          AND d.round_from < w.created_at
        ORDER BY d.event_id
        LIMIT @limit::int - (SELECT count(*) FROM failed) - (SELECT count(*) FROM waiting)) d
    WHERE w.reason IS NULL
),
batch AS MATERIALIZED (
    SELECT b.id, b.event_id, b.waits_for, row_number() OVER (ORDER BY b.event_id) AS n
    FROM (SELECT * FROM failed UNION ALL SELECT * FROM waiting UNION ALL SELECT * FROM swept) b
),
locked AS MATERIALIZED (
    SELECT d.id, b.n, b.waits_for                         -- not joined once more: it would be each with each
    FROM delivery d
    JOIN batch b ON b.id = d.id
    WHERE d.state = 'FAILED'
       OR (d.due_at IS NOT NULL AND (d.token IS NULL OR d.round_from < (SELECT w.rounds_end_before FROM work w)))
    ORDER BY d.id
    FOR UPDATE OF d
),
begun AS MATERIALIZED (
    SELECT clock_timestamp() AS at, count(*) AS locked
    FROM locked
),
again AS (
    UPDATE delivery d
    SET state = CASE WHEN d.token IS NULL THEN 'RESENDING' ELSE d.state END,
        due_at = CASE
                     WHEN d.token IS NOT NULL THEN d.due_at
                     WHEN b.must_wait THEN 'infinity'
                     ELSE g.at + b.n * interval '1 microsecond'
                 END,
        ended_at = NULL,
        reason = NULL,
        step = 0,
        interrupted = 0,
        format = CASE WHEN d.token IS NOT NULL THEN d.format END,
        round = d.round + (d.token IS NULL)::int,
        round_from = g.at + b.n * interval '1 microsecond',
        recovered = true,
        never_expires = d.never_expires AND d.token IS NOT NULL,
        resend_asked = false                              -- asked for before the disabling, it ended with it
    FROM (
        SELECT l.id, l.n,
               l.waits_for IN (SELECT o.event_id FROM batch o)
               OR (SELECT true
                   FROM delivery o
                   WHERE o.event_id = l.waits_for
                     AND o.channel_id = (SELECT w.channel_id FROM work w)
                     AND o.due_at IS NOT NULL
                   LIMIT 1) IS TRUE AS must_wait
        FROM locked l
    ) b
    CROSS JOIN begun g
    WHERE d.id = b.id
    RETURNING d.id
)
UPDATE job j
SET state = CASE
        WHEN w.reason IS NOT NULL THEN 'STOPPED'
        WHEN b.size < @limit::int THEN 'DONE'
        ELSE 'RUNNING'
    END,
    reason = w.reason,
    done = j.done + n.again,
    total = greatest(j.total, j.done + n.again),
    after_event = coalesce((SELECT max(f.event_id) FROM failed f), j.after_event),
    started_at = coalesce(j.started_at, clock_timestamp()),
    ended_at = CASE WHEN w.reason IS NOT NULL OR b.size < @limit::int THEN clock_timestamp() END
FROM work w
CROSS JOIN (SELECT count(*) AS size FROM batch) b
CROSS JOIN (SELECT count(*)::int AS again FROM again) n
WHERE j.id = w.id
RETURNING j.id, j.kind, j.state, j.reason, j.event_id, j.channel_id, j.total, j.done, j.created_at, j.started_at,
          j.ended_at, j.namespace
