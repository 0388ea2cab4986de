-- These events of a namespace, whole.
SELECT e.id, e.type, e.rule_id, e.payload, e.is_test, e.created_at
FROM event e
WHERE e.id = ANY (@ids::text[])
  AND e.namespace = @namespace
