-- Remove the next deliveries of a range of events, in order of the events' ids: those that have ended by *over_by*.
-- Lock order: deliveries by id, as everybody's. A resend that has begun one again meanwhile is waited for, and keeps
-- it.
WITH over AS MATERIALIZED (
    SELECT d.id, d.event_id
    FROM delivery d
    WHERE d.event_id >= @from_id
      AND d.event_id < @to_id
      AND d.ended_at <= @over_by::timestamptz
    ORDER BY d.event_id
    LIMIT @limit::int
),
locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    WHERE d.id = ANY (ARRAY(SELECT o.id FROM over o))
      AND d.ended_at <= @over_by::timestamptz             -- read once more at the lock
    ORDER BY d.id
    FOR UPDATE
),
removed AS (
    DELETE FROM delivery d
    WHERE d.id = ANY (ARRAY(SELECT l.id FROM locked l))
    RETURNING d.id
)
SELECT (SELECT count(*)::int FROM removed) AS removed, count(*)::int AS seen, max(o.event_id) AS last
FROM over o
