-- Look through the next events of a range, in order of their ids, for one that must be kept: it was made, or one of its
-- deliveries has ended, after *over_by*, or one is open. Returns the last id looked at, and whether one was found.
WITH step AS MATERIALIZED (
    SELECT e.id, e.created_at
    FROM event e
    WHERE e.id >= @from_id
      AND e.id < @to_id
    ORDER BY e.id
    LIMIT @limit::int
)
SELECT count(*)::int AS seen,
       max(s.id) AS last,
       coalesce(bool_or(s.created_at > @over_by::timestamptz OR EXISTS (
           SELECT
           FROM delivery d
           WHERE d.event_id = s.id
             AND (d.due_at IS NOT NULL OR d.ended_at > @over_by::timestamptz))), false) AS is_kept
FROM step s
