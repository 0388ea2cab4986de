-- Keep a receiver's consent, unless the channel leads elsewhere by now, or goes by another name. Without an answer the
-- rate stays as it was allowed before.
UPDATE channel c
SET consent_until = clock_timestamp() + @valid::interval,
    allowed_rate = a.rate,
    rate_limit = least((c.config->>'rateLimit')::float8, a.rate)
FROM (
    SELECT o.id, CASE WHEN @is_answered::boolean THEN @rate::float8 ELSE o.allowed_rate END AS rate
    FROM channel o
    WHERE o.id = @channel
) a
WHERE c.id = a.id
  AND c.revision = @revision
  AND c.request_origin = @origin
