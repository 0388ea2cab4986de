-- A channel's configuration in one place: columns for what statements filter, compute or send by, ciphertexts apart, and
-- in `config` whatever else a person sets. A template is kept by its own hash: a round that has begun with one ends with it,
-- however the channel is changed meanwhile. Forward only; never edited after a release.

ALTER TABLE channel
    ADD COLUMN config             json NOT NULL DEFAULT '{}',    -- json, not jsonb: it comes back as it was written
    ADD COLUMN sealed             bytea,                         -- encrypted: {"url": one that is a secret, "secrets": {name: value}}
    ADD COLUMN moves              integer NOT NULL DEFAULT 0,    -- grows with each new URL: of a secret one, `url` shows the origin alone
    ADD COLUMN permanent_statuses integer[];                     -- answers that end a delivery at once; NULL: those of its format

UPDATE channel
SET config = json_strip_nulls(json_build_object('metadata', metadata, 'rateLimit', rate_limit));

-- Templates by the format's name that holds their hash: never changed, so a process may cache one for ever.
CREATE TABLE template (
    format     text PRIMARY KEY,
    tree       json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

DROP VIEW configured_channel;
ALTER TABLE channel DROP COLUMN metadata;

CREATE VIEW configured_channel AS
SELECT c.id, c.namespace, c.key, c.type, c.name, c.url, c.format, c.headers, c.signing_secret, c.sealed,
       c.config::text AS config, t.tree::text AS template, c.permanent_statuses, c.disabled_by, c.disabled_reason,
       c.retry_schedule, c.concurrency, c.expire_after, c.rate_limit, c.created_at, c.updated_at, c.deleted_at,
       greatest(p.paused_until, p.open_until) AS paused_until
FROM channel c
LEFT JOIN template t ON t.format = c.format
LEFT JOIN channel_pace p ON p.channel_id = c.id;

-- Where secrets go into a kept body when it is sent: [[offset in bytes, name], …]
ALTER TABLE rendered ADD COLUMN holes json NOT NULL DEFAULT '[]';
