-- All rules of a namespace that are not deleted, with their channels' ids in order.
SELECT r.id, r.key, r.type, r.name, r.spec::text AS spec, r.metadata::text AS metadata, r.disabled,
       coalesce((SELECT array_agg(rc.channel_id ORDER BY rc.position) FROM rule_channel rc WHERE rc.rule_id = r.id), '{}')
           AS channels
FROM rule r
WHERE r.namespace = @namespace
  AND r.deleted_at IS NULL
ORDER BY r.id
