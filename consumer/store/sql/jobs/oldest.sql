-- The job that is worked off next, without *but*, even if another process works on it now.
SELECT j.id
FROM job j
WHERE j.ended_at IS NULL
  AND j.id <> ALL (@but::text[])
ORDER BY CASE j.kind WHEN 'resend' THEN 0 WHEN 'resend_many' THEN 1 ELSE 2 END, j.id
LIMIT 1
