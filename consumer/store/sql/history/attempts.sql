-- The attempts of the deliveries of these events, newest first.
SELECT a.delivery_id, a.number, a.started_at, a.outcome, a.status, a.duration_ms, a.detail, a.body, a.next_at
FROM attempt a
WHERE a.event_id = ANY (@ids::text[])
ORDER BY a.delivery_id, a.number DESC
