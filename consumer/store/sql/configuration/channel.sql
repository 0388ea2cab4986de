-- One channel of a namespace, deleted or not.
SELECT c.*
FROM configured_channel c
WHERE c.id = @id
  AND c.namespace = @namespace
