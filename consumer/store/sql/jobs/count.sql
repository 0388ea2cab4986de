-- How many jobs of a namespace there are.
SELECT count(*)::int AS total
FROM job
WHERE namespace = @namespace
  AND (@states::text[] IS NULL OR state = ANY (@states::text[]))
  AND (@channels::text[] IS NULL OR channel_id = ANY (@channels::text[]))
