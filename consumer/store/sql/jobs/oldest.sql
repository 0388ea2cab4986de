-- The job that is worked off next, without *but*, whoever works on it now.
SELECT j.id
FROM job j
WHERE j.ended_at IS NULL
  AND j.id <> ALL (@but::text[])
ORDER BY j.kind = 'recover', j.id
LIMIT 1
