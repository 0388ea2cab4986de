-- An event's data as frozen, and its body in the format, where that was made.
SELECT e.payload,
       (SELECT r.body
        FROM rendered r
        WHERE r.event_id = e.id
          AND r.format = @format
        LIMIT 1) AS rendered
FROM event e
WHERE e.id = @event_id
LIMIT 1
