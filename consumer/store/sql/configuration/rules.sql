-- All rules of a namespace that are not deleted, with their channels' ids in order.
SELECT r.id, r.namespace, r.key, r.type, r.name, r.spec, r.metadata, r.disabled, r.ignoring, r.created_at,
       r.updated_at, r.deleted_at, r.channels
FROM configured_rule r
WHERE r.namespace = @namespace
  AND r.deleted_at IS NULL
ORDER BY r.id
