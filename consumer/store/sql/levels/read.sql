-- These entitlements, in the order of *ids*, as many as have room in *bytes*; the first one always. No level where it
-- is of a period that is over, or of one that no record has shown yet.
SELECT s.*
FROM (
    SELECT e.id, wanted.n, coalesce(e.level, -1) AS sorted_by,
           CASE
               WHEN e.level_at >= coalesce(e.begins_at, e.period_from)
                    AND NOT e.ended
                    AND coalesce(e.period_to, 'infinity') > statement_timestamp()
                    AND coalesce(e.active_to, 'infinity') > statement_timestamp() THEN e.level
           END AS level,
           e.level_at, coalesce(e.begins_at, e.period_from) AS period_from, e.period_to,
           (e.about -> 'feature')::text AS feature,
           (e.about -> 'subject')::text AS subject,
           (e.about -> 'customer')::text AS customer,
           CASE WHEN e.ended THEN '{}' ELSE e.marks::text END AS marks,
           sum(octet_length(e.about::text) + octet_length(e.marks::text)) OVER (ORDER BY wanted.n) AS bytes
    FROM unnest(@ids::text[]) WITH ORDINALITY AS wanted (id, n)
    JOIN entitlement e ON e.namespace = @namespace AND e.id = wanted.id) s
WHERE s.bytes <= @bytes::bigint
   OR s.n = 1
ORDER BY s.n
