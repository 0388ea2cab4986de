-- These documents, where they are as they were found: any change of one gives it another version. Locked until the end
-- of the transaction; what another replica has is left to it.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.begins_at, e.ended,
       coalesce(e.known_at, greatest(e.as_of, e.deleted_at)) AS known_at, e.newest_at, e.as_of, e.deleted_at,
       e.active_to, e.reset_until, e.feature_id, e.feature_key, e.level, e.level_at,
       e.marks::text AS marks, e.resets::text AS resets, e.sights::text AS sights, e.about::text AS about
FROM unnest(@namespaces::text[], @ids::text[], @versions::bigint[]) AS k (namespace, id, version)
JOIN entitlement e ON e.namespace = k.namespace AND e.id = k.id AND e.version = k.version
FOR UPDATE OF e SKIP LOCKED
