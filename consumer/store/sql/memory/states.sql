-- Documents that hold a mark of a rule, in key order after the last one seen; a look through a namespace's entitlements.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.ended, e.as_of, e.deleted_at, e.active_to,
       e.marks::text AS marks, e.resets::text AS resets, e.sights::text AS sights, e.about::text AS about
FROM entitlement e
WHERE e.namespace = @namespace
  AND e.id > @after
  AND (e.marks::jsonb ? @rule_id OR e.resets::jsonb ? @rule_id)
ORDER BY e.id
LIMIT @limit::int
