-- Soft: its events and their deliveries stay, and are still sent.
UPDATE rule
SET deleted_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE id = @id
  AND deleted_at IS NULL
