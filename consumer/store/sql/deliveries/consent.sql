-- What is to be asked of a channel's receiver: the channel's own rate, and whether another replica has its consent by
-- now.
SELECT (c.config->>'rateLimit')::float8 AS rate, (c.consent_until > clock_timestamp()) IS TRUE AS is_given
FROM channel c
WHERE c.id = @channel
  AND c.revision = @revision
  AND c.request_origin = @origin
