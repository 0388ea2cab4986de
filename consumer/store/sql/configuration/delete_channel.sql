-- Soft; a channel that a rule still uses stays. Its open deliveries end FAILED with the next sweep. Returns its id.
UPDATE channel c
SET deleted_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE c.id = @id
  AND c.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1
      FROM rule_channel rc
      JOIN rule r ON r.id = rc.rule_id
      WHERE rc.channel_id = c.id
        AND r.deleted_at IS NULL)
RETURNING c.id
