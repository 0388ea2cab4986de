-- Make a channel, or change all of it. Its editor holds the catalog's row: one editor at a time.
-- Enabled again, or sent somewhere else, it begins anew: what it failed before, and every pause, is forgotten.
-- Lock order: the channel, then its pace.
WITH before AS MATERIALIZED (
    SELECT url, disabled_by
    FROM channel
    WHERE id = @id
),
put AS (
    INSERT INTO channel (id, namespace, key, type, name, url, format, headers, signing_secret, metadata, disabled_by,
                         retry_schedule, concurrency, expire_after, rate_limit)
    VALUES (@id, @namespace, @key, @type, @name, @url, @format, @headers, @signing_secret, @metadata::text::json,
            @disabled_by, @retry_schedule, @concurrency, @expire_after, @rate_limit)
    ON CONFLICT (id) DO UPDATE
    SET key = excluded.key,
        name = excluded.name,
        url = excluded.url,
        format = excluded.format,
        headers = excluded.headers,
        signing_secret = excluded.signing_secret,
        metadata = excluded.metadata,
        disabled_by = excluded.disabled_by,
        retry_schedule = excluded.retry_schedule,
        concurrency = excluded.concurrency,
        expire_after = excluded.expire_after,
        rate_limit = excluded.rate_limit,
        disabled_reason = CASE WHEN excluded.disabled_by IS NOT NULL THEN channel.disabled_reason END,
        updated_at = clock_timestamp()
    RETURNING id, url, disabled_by
)
INSERT INTO channel_pace (channel_id)
SELECT put.id
FROM put
LEFT JOIN before b ON true
WHERE b.url IS NULL
   OR b.url <> put.url
   OR (b.disabled_by IS NOT NULL AND put.disabled_by IS NULL)
ON CONFLICT (channel_id) DO UPDATE
SET paused_until = NULL,
    downs = 0,
    opened = 0,
    open_until = NULL,
    probe = NULL,
    probe_until = NULL,
    failures = 0,
    failing_since = NULL,
    failing_events = '{}'
