-- Make a channel, or change all of it. Its editor holds the catalog's row: one editor at a time.
INSERT INTO channel (id, namespace, key, type, name, url, format, headers, signing_secret, metadata, disabled_by,
                     retry_schedule, concurrency, expire_after)
VALUES (@id, @namespace, @key, @type, @name, @url, @format, @headers, @signing_secret, @metadata::text::json, @disabled_by,
        @retry_schedule, @concurrency, @expire_after)
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
    disabled_reason = CASE WHEN excluded.disabled_by IS NOT NULL THEN channel.disabled_reason END,
    updated_at = clock_timestamp()
