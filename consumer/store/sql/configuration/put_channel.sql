-- Make a channel, or change all of it. Its editor holds the catalog's row: one editor at a time.
-- Enabled again, or sent somewhere else, it starts clean: what it failed before, and every pause, is forgotten.
-- Likewise where a person says so (*forgets*) of one that was enabled all along: it may be paused.
-- Lock order: templates, the channel, its pace.
WITH before AS MATERIALIZED (
    SELECT url, moves, disabled_by, format
    FROM channel
    WHERE id = @id
),
template AS (
    -- Needed now: retention, should it be about to remove this one, sees that when it locks it.
    INSERT INTO template (format, tree)
    SELECT @format, @template::text::json
    WHERE @template::text IS NOT NULL
    ON CONFLICT (format) DO UPDATE
    SET needed_at = clock_timestamp()
),
left_behind AS (
    -- What has been claimed with it a moment ago, and is not committed, needs it.
    UPDATE template t
    SET needed_at = clock_timestamp()
    FROM before b
    WHERE t.format = b.format
      AND t.format <> @format
),
put AS (
    INSERT INTO channel (id, namespace, key, type, name, url, format, headers, signing_secret, sealed, config,
                         disabled_by, retry_schedule, concurrency, expire_after, rate_limit, permanent_statuses,
                         request_origin)
    VALUES (@id, @namespace, @key, @type, @name, @url, @format, @headers, @signing_secret, @sealed, @config::text::json,
            @disabled_by, @retry_schedule, @concurrency, @expire_after, @rate_limit, @permanent_statuses,
            @request_origin)
    ON CONFLICT (id) DO UPDATE
    SET key = excluded.key,
        name = excluded.name,
        url = excluded.url,
        moves = channel.moves + @is_moved::boolean::int,
        format = excluded.format,
        headers = excluded.headers,
        signing_secret = excluded.signing_secret,
        sealed = excluded.sealed,
        config = excluded.config,
        disabled_by = excluded.disabled_by,
        retry_schedule = excluded.retry_schedule,
        concurrency = excluded.concurrency,
        expire_after = excluded.expire_after,
        rate_limit = excluded.rate_limit,
        permanent_statuses = excluded.permanent_statuses,
        request_origin = excluded.request_origin,
        disabled_reason = CASE WHEN excluded.disabled_by IS NOT NULL THEN channel.disabled_reason END,
        updated_at = clock_timestamp()
    RETURNING id, url, moves, disabled_by
)
INSERT INTO channel_pace (channel_id)
SELECT put.id
FROM put
LEFT JOIN before b ON true
WHERE b.url IS NULL
   OR b.moves <> put.moves
   OR (b.disabled_by IS NOT NULL AND put.disabled_by IS NULL)
   OR @forgets::boolean
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
