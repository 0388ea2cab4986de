-- A namespace's deliveries: those that are open, and those of events since *from_id* that have ended; each counted up
-- to *most*. What is open is found by a loose index scan, a step for each channel that has anything open; what has
-- ended by the namespace's own index, in the index alone. What waits for another delivery is open, and not due.
WITH RECURSIVE busy AS (
    (SELECT channel_id FROM delivery WHERE due_at IS NOT NULL ORDER BY channel_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.channel_id
            FROM delivery d
            WHERE d.due_at IS NOT NULL
              AND d.channel_id > b.channel_id
            ORDER BY d.channel_id
            LIMIT 1)
    FROM busy b
    WHERE b.channel_id IS NOT NULL
),
own AS MATERIALIZED (
    SELECT c.id
    FROM busy b
    JOIN channel c ON c.id = b.channel_id
    WHERE c.namespace = @namespace
),
counted AS (
    SELECT count(*) FILTER (WHERE d.state = 'PENDING')::int AS pending,
           count(*) FILTER (WHERE d.state = 'SENDING')::int AS sending,
           count(*) FILTER (WHERE d.state = 'RESENDING')::int AS resending,
           count(*) FILTER (WHERE d.due_at <= clock_timestamp())::int AS due
    FROM (
        SELECT p.state, p.due_at
        FROM own o
        JOIN delivery p ON p.channel_id = o.id
        WHERE p.due_at IS NOT NULL
        LIMIT @most::int) d
),
oldest AS (
    SELECT min(n.due_at) AS due_at
    FROM own o
    CROSS JOIN unnest(ARRAY[false, true]) AS k (recovered)
    CROSS JOIN LATERAL (
        SELECT d.due_at
        FROM delivery d
        WHERE d.channel_id = o.id
          AND d.recovered = k.recovered
          AND d.due_at <= clock_timestamp()
        ORDER BY d.due_at
        LIMIT 1) n
),
ended AS (
    SELECT (SELECT count(*)
            FROM (SELECT 1
                  FROM delivery d
                  WHERE d.namespace = @namespace
                    AND d.due_at IS NULL
                    AND d.state = 'SUCCESS'
                    AND d.event_id >= @from_id
                  LIMIT @most::int) s)::int AS success,
           (SELECT count(*)
            FROM (SELECT 1
                  FROM delivery d
                  WHERE d.namespace = @namespace
                    AND d.due_at IS NULL
                    AND d.state = 'FAILED'
                    AND d.event_id >= @from_id
                  LIMIT @most::int) f)::int AS failed
)
SELECT c.pending, c.sending, c.resending, c.due, o.due_at AS oldest_due_at, e.success, e.failed
FROM counted c
CROSS JOIN oldest o
CROSS JOIN ended e
