-- Work off a batch of a resend of many, without *but*, that no other process works on: these deliveries, their names in
-- the job and its progress move together or not at all, so none is sent twice, and a killed worker leaves it where it
-- was.
-- It is the oldest one of the first namespace behind *after* that has one: they take turns.
-- Each begins a new round, exempt from `expire_after`, due a microsecond after one another in the order of events; one
-- that waits for an event that is open on the same channel, or in this batch, waits for it. They give way to what is
-- new, as a recovery's do: a hundred thousand would be an alarm's wait of a day, at one a second. What is not as it was
-- found is left:
-- sent again by another meanwhile, or gone, or its channel deleted, or disabled meanwhile, if only for a moment.
-- Lock order: the job (SKIP LOCKED), then deliveries by id.
WITH work AS MATERIALIZED (
    SELECT j.id, j.created_at
    FROM job j
    WHERE j.ended_at IS NULL
      AND j.kind = 'resend_many'
      AND j.namespace > @after
      AND j.id <> ALL (@but::text[])
    ORDER BY j.namespace, j.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
),
batch AS MATERIALIZED (
    SELECT b.n, b.delivery_id
    FROM work w
    CROSS JOIN LATERAL (
        SELECT jd.n, jd.delivery_id
        FROM job_delivery jd
        WHERE jd.job_id = w.id
        ORDER BY jd.n
        LIMIT @limit::int) b
),
locked AS MATERIALIZED (
    SELECT d.id, b.n, d.event_id, d.channel_id, d.waits_for
    FROM work w
    CROSS JOIN batch b
    JOIN delivery d ON d.id = b.delivery_id
    JOIN channel c ON c.id = d.channel_id
    WHERE d.due_at IS NULL
      AND d.ended_at <= w.created_at
      AND c.deleted_at IS NULL
      AND c.disabled_by IS NULL
      AND (c.rounds_end_before IS NULL OR c.rounds_end_before <= w.created_at)
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
        due_at = CASE WHEN b.must_wait THEN 'infinity' ELSE g.at + b.n * interval '1 microsecond' END,
        ended_at = NULL,
        reason = NULL,
        step = 0,
        interrupted = 0,
        format = NULL,
        round = d.round + 1,
        round_from = g.at + b.n * interval '1 microsecond',
        received = d.received OR d.state = 'SUCCESS',
        recovered = true,
        never_expires = true
    FROM (
        SELECT l.id, l.n,
               ((l.waits_for, l.channel_id) IN (SELECT o.event_id, o.channel_id FROM locked o)) IS TRUE
               OR (SELECT true
                   FROM delivery o
                   WHERE o.event_id = l.waits_for
                     AND o.channel_id = l.channel_id
                     AND o.due_at IS NOT NULL
                   LIMIT 1) IS TRUE AS must_wait
        FROM locked l
    ) b
    CROSS JOIN begun g
    WHERE d.id = b.id
    RETURNING d.id
),
gone AS (
    DELETE FROM job_delivery jd
    USING work w, batch b
    WHERE jd.job_id = w.id
      AND jd.n = b.n
)
UPDATE job j
SET state = CASE WHEN b.size < @limit::int THEN 'DONE' ELSE 'RUNNING' END,
    done = j.done + (SELECT count(*) FROM again),
    started_at = coalesce(j.started_at, clock_timestamp()),
    ended_at = CASE WHEN b.size < @limit::int THEN clock_timestamp() END
FROM work w
CROSS JOIN (SELECT count(*) AS size FROM batch) b
WHERE j.id = w.id
RETURNING j.id, j.kind, j.state, j.reason, j.event_id, j.channel_id, j.total, j.done, j.created_at, j.started_at,
          j.ended_at, j.namespace
