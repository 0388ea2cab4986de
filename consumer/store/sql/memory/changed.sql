-- Which of these entitlements have another version by now than the one that is remembered; one without a row has.
SELECT known.namespace, known.id
FROM unnest(@namespaces::text[], @ids::text[], @versions::bigint[]) AS known (namespace, id, version)
LEFT JOIN entitlement e ON e.namespace = known.namespace AND e.id = known.id
WHERE e.version IS DISTINCT FROM known.version
