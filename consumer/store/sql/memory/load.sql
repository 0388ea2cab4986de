-- The documents of these entitlements; one never written has no row.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.begins_at, e.ended,
       coalesce(e.known_at, greatest(e.as_of, e.deleted_at)) AS known_at, e.newest_at, e.as_of, e.deleted_at,
       e.active_to, e.reset_until, e.feature_id, e.feature_key, e.level, e.level_at,
       e.marks::text AS marks, e.resets::text AS resets, e.sights::text AS sights
FROM unnest(@namespaces::text[], @ids::text[]) AS wanted (namespace, id)
JOIN entitlement e ON e.namespace = wanted.namespace AND e.id = wanted.id
