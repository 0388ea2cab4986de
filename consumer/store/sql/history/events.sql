-- These events of a namespace; *with_payload*: whole.
SELECT e.id, e.type, e.rule_id, CASE WHEN @with_payload::boolean THEN e.payload ELSE '' END AS payload, e.is_test,
       e.created_at, e.record
FROM event e
WHERE e.id = ANY (@ids::text[])
  AND e.namespace = @namespace
