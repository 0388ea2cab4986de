-- The job that is worked off next, without *but*, even if another process works on it now: the first of *kinds* that
-- has one, and of it the next namespace behind the one in *after*.
SELECT j.id
FROM unnest(@kinds::text[], @after::text[]) WITH ORDINALITY AS turn (kind, after, n)
JOIN job j ON j.kind = turn.kind
WHERE j.ended_at IS NULL
  AND j.id <> ALL (@but::text[])
ORDER BY turn.n, j.namespace <= turn.after, j.namespace, j.id
LIMIT 1
