-- The processes that have not left, those that were started first before the others; of more than *most* of them those
-- heard of last: one that is killed again and again leaves a row each time, and those that live must not be missing.
SELECT r.id, r.host, r.pid, r.version, r.roles, r.failing, r.partitions, r.records, r.dead_letters, r.started_at,
       r.seen_at, greatest(extract(epoch FROM clock_timestamp() - r.seen_at), 0)::float8 AS silent_seconds
FROM (
    SELECT o.*
    FROM replica o
    ORDER BY o.seen_at DESC, o.id DESC
    LIMIT @most::int) r
ORDER BY r.id
