-- Put a new signing secret in the place of a channel's; the one before stays valid for *overlap*. At most *most* old
-- ones stay, the youngest; with no overlap none does: they may have leaked. Its editor holds the catalog's row.
WITH kept AS MATERIALIZED (
    SELECT o.replaced_at
    FROM channel_old_secret o
    WHERE o.channel_id = @id
      AND o.valid_until > clock_timestamp()
      AND @overlap::interval > interval '0'
    ORDER BY o.replaced_at DESC
    LIMIT @most::int - 1
),
dropped AS (
    DELETE FROM channel_old_secret o
    WHERE o.channel_id = @id
      AND o.replaced_at NOT IN (SELECT replaced_at FROM kept)
),
replaced AS (
    INSERT INTO channel_old_secret (channel_id, secret, valid_until)
    SELECT c.id, c.signing_secret, clock_timestamp() + @overlap::interval
    FROM channel c
    WHERE c.id = @id
      AND @overlap::interval > interval '0'
)
UPDATE channel
SET signing_secret = @signing_secret,
    updated_at = clock_timestamp()
WHERE id = @id
