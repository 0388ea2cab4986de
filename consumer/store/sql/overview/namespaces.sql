-- The namespaces that have a channel or a rule, and how many of each that is not deleted: the first *most*, in order.
SELECT o.namespace, sum(o.channels)::int AS channels, sum(o.rules)::int AS rules
FROM (
    SELECT c.namespace, count(*) AS channels, 0 AS rules
    FROM channel c
    WHERE c.deleted_at IS NULL
    GROUP BY c.namespace
    UNION ALL
    SELECT r.namespace, 0, count(*)
    FROM rule r
    WHERE r.deleted_at IS NULL
    GROUP BY r.namespace) o
GROUP BY o.namespace
ORDER BY o.namespace COLLATE "C"
LIMIT @most::int
