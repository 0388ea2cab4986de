-- The features that records have shown under these names, be it id or key.
SELECT f.id, f.key
FROM feature f
WHERE f.namespace = @namespace
  AND (f.id = ANY (@names::text[]) OR f.key = ANY (@names::text[]))
ORDER BY f.id
