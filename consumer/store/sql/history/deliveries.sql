-- The deliveries of these events, in the order in which they were made. One that waits for another has no next attempt
-- yet.
SELECT d.id, d.event_id, d.channel_id, d.state, d.reason, nullif(d.due_at, 'infinity') AS due_at,
       d.token IS NOT NULL AS is_in_flight, d.created_at, d.ended_at
FROM delivery d
WHERE d.event_id = ANY (@ids::text[])
ORDER BY d.id
