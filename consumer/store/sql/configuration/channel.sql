-- One channel of a namespace, deleted or not.
SELECT c.id, c.namespace, c.key, c.type, c.name, c.url, c.format, c.headers, c.signing_secret, c.metadata, c.disabled_by,
       c.disabled_reason, c.retry_schedule, c.concurrency, c.expire_after, c.rate_limit, c.created_at, c.updated_at,
       c.deleted_at, c.paused_until
FROM configured_channel c
WHERE c.id = @id
  AND c.namespace = @namespace
