-- Work off a resend, without *but*, that no other process works on: all of it at once, or nothing. It is the
-- oldest one of the first namespace behind *after* that has one: they take turns.
-- Each of its channels begins a new round of the event's delivery, exempt from `expire_after`: at once; or, in flight,
-- when the running attempt has ended, which the delivery itself remembers. A channel that has none yet gets one, which
-- waits for the same event as the others. What is disabled or deleted by now is passed over, and what was disabled
-- meanwhile, if only for a moment. Asked for after a disabling of a delivery that is to end for it, its round counts as
-- begun now: else the resend would end with it.
-- Lock order: the job (SKIP LOCKED), then deliveries by id.
WITH work AS MATERIALIZED (
    SELECT j.id, j.event_id, j.channel_ids, j.created_at
    FROM job j
    WHERE j.ended_at IS NULL
      AND j.kind = 'resend'
      AND j.namespace > @after
      AND j.id <> ALL (@but::text[])
    ORDER BY j.namespace, j.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
),
target AS MATERIALIZED (
    SELECT e.id AS event_id, e.namespace, c.id AS channel_id, c.rounds_end_before
    FROM work w
    JOIN event e ON e.id = w.event_id
    JOIN LATERAL (
        SELECT rc.channel_id
        FROM rule r
        JOIN rule_channel rc ON rc.rule_id = r.id
        WHERE r.id = e.rule_id
          AND r.deleted_at IS NULL
        UNION
        SELECT d.channel_id
        FROM delivery d
        WHERE d.event_id = e.id) s ON true
    JOIN channel c ON c.id = s.channel_id
    WHERE c.deleted_at IS NULL
      AND c.disabled_by IS NULL
      AND (c.rounds_end_before IS NULL OR c.rounds_end_before <= w.created_at)
      AND (w.channel_ids IS NULL OR c.id = ANY (w.channel_ids))
),
locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    JOIN target t ON t.event_id = d.event_id AND t.channel_id = d.channel_id
    ORDER BY d.id
    FOR UPDATE OF d
),
-- What it waits for, where that is open on the same channel: until then it is due at no time.
waits AS MATERIALIZED (
    SELECT t.channel_id, t.rounds_end_before, w.waits_for,
           EXISTS (
               SELECT 1
               FROM delivery b
               WHERE b.event_id = w.waits_for
                 AND b.channel_id = t.channel_id
                 AND b.due_at IS NOT NULL) AS must_wait
    FROM target t
    CROSS JOIN LATERAL (SELECT max(d.waits_for) AS waits_for FROM delivery d WHERE d.event_id = t.event_id) w
),
again AS (
    UPDATE delivery d
    SET state = CASE WHEN d.token IS NULL THEN 'RESENDING' ELSE d.state END,
        due_at = CASE
                     WHEN d.token IS NOT NULL THEN d.due_at
                     WHEN w.must_wait THEN 'infinity'
                     ELSE clock_timestamp()
                 END,
        ended_at = NULL,
        reason = NULL,
        step = CASE WHEN d.token IS NULL THEN 0 ELSE d.step END,
        interrupted = CASE WHEN d.token IS NULL THEN 0 ELSE d.interrupted END,
        round = d.round + (d.token IS NULL)::int,
        round_from = CASE
            WHEN d.token IS NULL OR d.round_from < w.rounds_end_before THEN clock_timestamp()
            ELSE d.round_from
        END,
        format = CASE WHEN d.token IS NOT NULL THEN d.format END,
        received = d.received OR d.state = 'SUCCESS',
        recovered = d.recovered AND d.token IS NOT NULL,
        never_expires = d.never_expires OR d.token IS NULL,
        resend_asked = d.token IS NOT NULL
    FROM locked l, waits w
    WHERE d.id = l.id
      AND w.channel_id = d.channel_id
    RETURNING d.id
),
made AS (
    -- Its first round is a resend's: the second.
    INSERT INTO delivery (event_id, channel_id, namespace, waits_for, state, due_at, round, never_expires)
    SELECT t.event_id, t.channel_id, t.namespace, w.waits_for, 'RESENDING',
           CASE WHEN w.must_wait THEN 'infinity' ELSE clock_timestamp() END, 2, true
    FROM target t
    JOIN waits w ON w.channel_id = t.channel_id
    WHERE NOT EXISTS (
        SELECT 1
        FROM delivery d
        WHERE d.event_id = t.event_id
          AND d.channel_id = t.channel_id)
    ORDER BY t.channel_id
    ON CONFLICT DO NOTHING
    RETURNING id
)
UPDATE job j
SET state = 'DONE',
    done = n.done,
    total = greatest(j.total, n.done),                    -- its rule may have got a channel since it was asked for
    started_at = clock_timestamp(),
    ended_at = clock_timestamp()
FROM work w
CROSS JOIN (SELECT (SELECT count(*) FROM again)::int + (SELECT count(*) FROM made)::int AS done) n
WHERE j.id = w.id
RETURNING j.id, j.kind, j.state, j.reason, j.event_id, j.channel_id, j.total, j.done, j.created_at, j.started_at,
          j.ended_at, j.namespace
