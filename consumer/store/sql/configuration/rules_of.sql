-- These rules of a namespace, deleted or not.
SELECT r.id, r.namespace, r.key, r.type, r.name, r.spec, r.metadata, r.disabled, r.ignoring, r.created_at,
       r.updated_at, r.deleted_at, r.channels
FROM configured_rule r
WHERE r.id = ANY (@ids::text[])
  AND r.namespace = @namespace
