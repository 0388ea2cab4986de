-- How many events a namespace has between one id of *bounds* and the next: each counted up to *most*, in the index
-- alone.
SELECT b.n, c.total
FROM unnest(@bounds::text[]) WITH ORDINALITY AS b (from_id, n)
JOIN unnest(@bounds::text[]) WITH ORDINALITY AS a (to_id, n) ON a.n = b.n + 1
CROSS JOIN LATERAL (
    SELECT count(*)::int AS total
    FROM (
        SELECT 1
        FROM event e
        WHERE e.namespace = @namespace
          AND e.id >= b.from_id COLLATE "C"
          AND e.id < a.to_id COLLATE "C"
        LIMIT @most::int) o) c
ORDER BY b.n
