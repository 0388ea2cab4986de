-- Disable a channel for Tollbell, if it is still failing since the time that was judged, and is not disabled yet.
-- Lock order: the channel, then its pace.
WITH held AS MATERIALIZED (
    SELECT c.id
    FROM channel c
    WHERE c.id = @channel_id
      AND c.disabled_by IS NULL
      AND c.deleted_at IS NULL
    FOR NO KEY UPDATE
),
still AS MATERIALIZED (
    SELECT p.channel_id
    FROM channel_pace p
    WHERE p.channel_id = (SELECT h.id FROM held h)
      AND p.failing_since = @failing_since
    FOR UPDATE
)
UPDATE channel c
SET disabled_by = 'tollbell',
    disabled_reason = @reason,
    updated_at = clock_timestamp()
WHERE c.id = (SELECT s.channel_id FROM still s)
RETURNING c.id
