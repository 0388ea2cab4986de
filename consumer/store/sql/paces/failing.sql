-- Find channels that have failed since their last success, those that fail longest first; none that is disabled or
-- deleted: nothing is sent there, and that is shown otherwise. Nothing is locked.
SELECT p.channel_id
FROM channel_pace p
JOIN channel c ON c.id = p.channel_id
WHERE p.failing_since IS NOT NULL
  AND c.disabled_by IS NULL
  AND c.deleted_at IS NULL
ORDER BY p.failing_since, p.channel_id
LIMIT @limit::int
