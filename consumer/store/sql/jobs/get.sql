-- One job as it stands.
SELECT id, kind, state, reason, event_id, channel_id, total, done, created_at, started_at, ended_at, filter
FROM job
WHERE id = @id
  AND namespace = @namespace
