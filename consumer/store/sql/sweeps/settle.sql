-- Forget when a channel was disabled, where no round of before is open any more: then the sweep need not look.
UPDATE channel c
SET rounds_end_before = NULL
WHERE c.id = @channel
  AND c.revision = @revision
  AND c.disabled_by IS NULL
  AND NOT EXISTS (
      SELECT 1
      FROM delivery d
      WHERE d.channel_id = c.id
        AND d.due_at IS NOT NULL
        AND d.round_from < c.rounds_end_before)
RETURNING c.id
