-- The documents of these entitlements; one never written has no row.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.as_of, e.marks::text AS marks
FROM unnest(@namespaces::text[], @ids::text[]) AS wanted (namespace, id)
JOIN entitlement e ON e.namespace = wanted.namespace AND e.id = wanted.id
