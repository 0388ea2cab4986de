-- The attempts of the deliveries of these events, newest first: of each delivery the newest *most*.
SELECT a.delivery_id, a.number, a.started_at, a.url, a.outcome, a.status, a.duration_ms, a.detail, a.body, a.next_at
FROM delivery d
CROSS JOIN LATERAL (
    SELECT t.delivery_id, t.number, t.started_at, t.url, t.outcome, t.status, t.duration_ms, t.detail, t.body, t.next_at
    FROM attempt t
    WHERE t.event_id = d.event_id
      AND t.delivery_id = d.id
    ORDER BY t.number DESC
    LIMIT @most::int) a
WHERE d.event_id = ANY (@ids::text[])
ORDER BY a.delivery_id, a.number DESC
