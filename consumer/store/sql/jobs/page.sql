-- A page of a namespace's jobs, the newest first; people ask for few, and they go a retention after their end.
SELECT id, kind, state, reason, event_id, channel_id, total, done, created_at, started_at, ended_at, filter
FROM job
WHERE namespace = @namespace
  AND (@states::text[] IS NULL OR state = ANY (@states::text[]))
  AND (@channels::text[] IS NULL OR channel_id = ANY (@channels::text[]))
ORDER BY id COLLATE "C" DESC
LIMIT @limit::int
OFFSET @offset::bigint
