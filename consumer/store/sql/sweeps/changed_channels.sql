-- Channels that were disabled, or got a new URL, and may have open deliveries of before: a few, for a short while.
SELECT c.id, c.revision, c.is_hurried,
       c.disabled_by IS NULL AND c.rounds_end_before < clock_timestamp() - @settled_after::interval AS may_be_settled
FROM channel c
WHERE c.deleted_at IS NULL
  AND (c.is_hurried OR c.rounds_end_before IS NOT NULL)
ORDER BY c.id
LIMIT @limit::int
