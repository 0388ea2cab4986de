-- What these channels of a namespace are called, deleted or not.
SELECT c.id, c.name
FROM channel c
WHERE c.id = ANY (@ids::text[])
  AND c.namespace = @namespace
