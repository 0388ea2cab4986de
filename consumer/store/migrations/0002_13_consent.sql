-- Channels whose receivers are asked for their consent before anything is sent (CloudEvents, HTTP webhooks 1.0.2, 4).
-- Forward only; never edited after a release.

ALTER TABLE channel
    ADD COLUMN request_origin text,            -- the name that asks for consent; NULL: not asked
    ADD COLUMN consent_until  timestamptz,     -- then it is asked for once more; NULL: there is none
    ADD COLUMN allowed_rate   double precision -- a second, of the consent; NULL: as many as we like
        CONSTRAINT channel_allowed_rate_positive CHECK (allowed_rate > 0);

CREATE OR REPLACE VIEW configured_channel AS
SELECT c.id, c.namespace, c.key, c.type, c.name, c.url, c.format, c.headers, c.signing_secret, c.sealed,
       c.config::text AS config, t.tree::text AS template, c.permanent_statuses, c.disabled_by, c.disabled_reason,
       c.retry_schedule, c.concurrency, c.expire_after, c.rate_limit, c.created_at, c.updated_at, c.deleted_at,
       greatest(p.paused_until, p.open_until) AS paused_until, c.request_origin, c.allowed_rate
FROM channel c
LEFT JOIN template t ON t.format = c.format
LEFT JOIN channel_pace p ON p.channel_id = c.id;
