-- The deliveries of a channel that a claim takes first, without *but*: by their keys alone, for where reading one
-- fails.
SELECT d.id
FROM (VALUES (false), (true)) k (recovered)
CROSS JOIN LATERAL (
    SELECT d.id, d.due_at
    FROM delivery d
    WHERE d.channel_id = @channel
      AND d.recovered = k.recovered
      AND d.due_at <= statement_timestamp()
      AND d.id <> ALL (@but::bigint[])
    ORDER BY d.due_at, d.id
    LIMIT @limit::int) d
ORDER BY d.due_at, d.id
LIMIT @limit::int
