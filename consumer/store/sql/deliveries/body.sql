-- An event's data as frozen, and its body in the format, where that was made.
SELECT e.payload, r.body AS rendered, r.holes::text AS holes
FROM event e
LEFT JOIN LATERAL (
    SELECT v.body, v.holes
    FROM rendered v
    WHERE v.event_id = e.id
      AND v.format = @format
    LIMIT 1
) r ON true
WHERE e.id = @event_id
LIMIT 1
