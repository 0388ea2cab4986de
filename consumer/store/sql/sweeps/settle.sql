-- Forget when a channel was disabled, where no round of before is open any more: then the sweep need not look. A
-- recovery, or a resend, that is under way may have been asked for before, and has yet to see that.
UPDATE channel c
SET rounds_end_before = NULL
WHERE c.id = @channel
  AND c.revision = @revision
  AND c.disabled_by IS NULL
  AND NOT EXISTS (
      SELECT 1
      FROM delivery d
      WHERE d.channel_id = c.id
        AND d.ended_at IS NULL                            -- as the index by age says it
        AND d.round_from < c.rounds_end_before)
  AND NOT EXISTS (
      SELECT 1
      FROM job j
      WHERE j.ended_at IS NULL
        AND j.namespace = c.namespace
        AND (j.channel_id = c.id OR j.kind <> 'recover'))
RETURNING c.id
