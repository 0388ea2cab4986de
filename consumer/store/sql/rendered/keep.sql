-- Keep an event's body in a format, made once: returns the one that is kept, which is the first one anybody made.
INSERT INTO rendered AS r (event_id, format, body)
VALUES (@event_id, @format, @body)
ON CONFLICT (event_id, format) DO UPDATE
SET body = r.body
RETURNING r.body
