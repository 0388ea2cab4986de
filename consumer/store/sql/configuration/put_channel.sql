-- Make a channel, or change all of it. Its editor holds the catalog's row: one editor at a time.
INSERT INTO channel (id, namespace, key, type, name, url, format, headers, signing_secret, metadata, disabled_by)
VALUES (@id, @namespace, @key, @type, @name, @url, @format, @headers, @signing_secret, @metadata::text::json, @disabled_by)
ON CONFLICT (id) DO UPDATE
SET key = excluded.key,
    name = excluded.name,
    url = excluded.url,
    format = excluded.format,
    headers = excluded.headers,
    signing_secret = excluded.signing_secret,
    metadata = excluded.metadata,
    disabled_by = excluded.disabled_by,
    disabled_reason = CASE WHEN excluded.disabled_by IS NOT NULL THEN channel.disabled_reason END,
    updated_at = clock_timestamp()
