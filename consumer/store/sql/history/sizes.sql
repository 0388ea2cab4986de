-- How many bytes these events of a namespace take: payload, rule, and the newest *most* attempts of each delivery, with
-- about *beside* bytes for what else is said of each. Of what is stored apart (TOAST), the length alone is read.
SELECT e.id,
       octet_length(e.payload) + coalesce(octet_length(r.spec::text) + octet_length(r.metadata::text), 0) AS bytes,
       (SELECT coalesce(sum(@beside::int + octet_length(a.detail) + octet_length(a.body)), 0)
        FROM delivery d
        CROSS JOIN LATERAL (
            SELECT t.detail, t.body
            FROM attempt t
            WHERE t.event_id = d.event_id
              AND t.delivery_id = d.id
            ORDER BY t.number DESC
            LIMIT @most::int) a
        WHERE d.event_id = e.id)::bigint AS attempts
FROM event e
LEFT JOIN rule r ON r.id = e.rule_id
WHERE e.id = ANY (@ids::text[])
  AND e.namespace = @namespace
