-- Remove the next deliveries of a range of events, in order of the events' ids: those that have ended by *over_by*.
-- Lock order: deliveries by event. Nobody else works on what ended so long ago, but a resend, which is waited for.
WITH over AS MATERIALIZED (
    SELECT d.id, d.event_id
    FROM delivery d
    WHERE d.event_id >= @from_id
      AND d.event_id < @to_id
      AND d.ended_at <= @over_by::timestamptz
    ORDER BY d.event_id
    LIMIT @limit::int
    FOR UPDATE
),
removed AS (
    DELETE FROM delivery d
    USING over o
    WHERE d.id = o.id
    RETURNING o.event_id
)
SELECT count(*)::int AS removed, max(event_id) AS last
FROM removed
