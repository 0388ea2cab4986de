-- Keep bodies of events in formats, each made once: returns those that are kept, which are the first ones anybody made.
-- Each of *event_ids* and *formats* once. Lock order: by event, then format, as other processes keep the same ones.
INSERT INTO rendered AS r (event_id, format, body, holes)
SELECT n.event_id, n.format, n.body, n.holes::json
FROM unnest(@event_ids::text[], @formats::text[], @bodies::bytea[], @holes::text[]) AS n (event_id, format, body, holes)
ORDER BY n.event_id COLLATE "C", n.format COLLATE "C"
ON CONFLICT (event_id, format) DO UPDATE
SET body = r.body
RETURNING r.event_id, r.format, r.body, r.holes::text AS holes
