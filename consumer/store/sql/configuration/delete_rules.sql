-- Soft: their events and their deliveries stay, and are still sent. After lock_rules.
UPDATE rule
SET deleted_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE id = ANY (@ids::text[])
  AND deleted_at IS NULL
