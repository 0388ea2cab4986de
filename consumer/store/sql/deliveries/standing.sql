-- Which of these channels may be sent to now, and their revision.
SELECT c.id, c.revision
FROM channel c
WHERE c.id = ANY (@channels::text[])
  AND c.disabled_by IS NULL
  AND c.deleted_at IS NULL
