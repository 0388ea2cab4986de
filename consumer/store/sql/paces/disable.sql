-- Disable a channel for Tollbell, if it is still failing since the time that was judged, and nobody has disabled it yet.
UPDATE channel c
SET disabled_by = 'tollbell',
    disabled_reason = @reason,
    updated_at = clock_timestamp()
FROM channel_pace p
WHERE c.id = @channel_id
  AND p.channel_id = c.id
  AND p.failing_since = @failing_since
  AND c.disabled_by IS NULL
  AND c.deleted_at IS NULL
RETURNING c.id
