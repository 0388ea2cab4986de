-- Configuration. Forward only; never edited after a release.

-- What the service is configured to do. Each change bumps the revision in its own transaction (catalog/bump.sql).
CREATE TABLE catalog (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision  bigint NOT NULL DEFAULT 1
);
INSERT INTO catalog DEFAULT VALUES;

CREATE TABLE channel (
    id              text PRIMARY KEY,
    namespace       text NOT NULL,
    key             text,                                 -- by which `tollbell apply` finds it again
    type            text NOT NULL CONSTRAINT channel_type_known CHECK (type = 'WEBHOOK'),
    name            text NOT NULL,
    url             text NOT NULL,
    format          text NOT NULL,
    headers         bytea,                                -- encrypted (AES-256-GCM): a JSON object, name to value
    signing_secret  bytea NOT NULL,                       -- encrypted likewise
    metadata        json NOT NULL DEFAULT '{}',
    disabled_by     text CONSTRAINT channel_disabled_by_known CHECK (disabled_by IN ('person', 'tollbell')),
    disabled_reason text,
    -- what it may have of its own instead of the service's settings
    retry_schedule  interval[],
    concurrency     integer CONSTRAINT channel_concurrency_positive CHECK (concurrency > 0),
    expire_after    interval CONSTRAINT channel_expire_after_positive CHECK (expire_after > interval '0'),
    rate_limit      double precision CONSTRAINT channel_rate_limit_positive CHECK (rate_limit > 0), -- a second, over all replicas
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at      timestamptz
);
CREATE UNIQUE INDEX channel_key_unique ON channel (namespace, key) WHERE deleted_at IS NULL;
CREATE INDEX channel_by_namespace ON channel (namespace);

-- How a channel fares: when it may send next, and how long it has failed. A row each, made with the channel; apart from
-- it because it is written at the pace of attempts, and a channel is wide.
CREATE TABLE channel_pace (
    channel_id     text PRIMARY KEY REFERENCES channel,
    slots_from     timestamptz,                           -- until when the rate is spent, in slots given out
    paused_until   timestamptz,                           -- asked for by the receiver: Retry-After, 429
    downs          integer NOT NULL DEFAULT 0,            -- attempts without an answer, or 5xx, since the last answer
    opened         integer NOT NULL DEFAULT 0,            -- how often the breaker has opened since the last answer
    open_until     timestamptz,                           -- of the breaker; past: one probe may go
    probe          uuid,                                  -- the token of the lease that is the probe
    probe_until    timestamptz,                           -- when that lease runs out: then another may probe
    failures       integer NOT NULL DEFAULT 0,            -- failed attempts since the last success
    failing_since  timestamptz,                           -- the first of them
    failing_events text[] NOT NULL DEFAULT '{}',          -- which events failed since then: the first ten
    CONSTRAINT channel_pace_open_is_counted CHECK ((opened = 0) = (open_until IS NULL)),
    CONSTRAINT channel_pace_probe_has_a_lease CHECK ((probe IS NULL) = (probe_until IS NULL)),
    CONSTRAINT channel_pace_failing_since_a_time CHECK ((failures = 0) = (failing_since IS NULL))
) WITH (fillfactor = 50);

-- Signing secrets that a rotation has replaced: webhooks are signed with them too until their time has passed.
CREATE TABLE channel_old_secret (
    channel_id  text NOT NULL REFERENCES channel,
    secret      bytea NOT NULL,                           -- encrypted, as it was in `channel`
    valid_until timestamptz NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel_id, replaced_at)
);

CREATE TABLE rule (
    id         text PRIMARY KEY,
    namespace  text NOT NULL,
    key        text,
    type       text NOT NULL,
    name       text NOT NULL,
    spec       json NOT NULL,                             -- json, not jsonb: numbers come back as they were written
    metadata   json NOT NULL DEFAULT '{}',
    disabled   boolean NOT NULL DEFAULT false,
    ignoring   json NOT NULL DEFAULT '{}',                -- threshold → since when, and revision: `onCreate: ignore`
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX rule_key_unique ON rule (namespace, key) WHERE deleted_at IS NULL;
CREATE INDEX rule_by_namespace ON rule (namespace);

CREATE TABLE rule_channel (
    rule_id    text NOT NULL REFERENCES rule,
    channel_id text NOT NULL REFERENCES channel,
    position   smallint NOT NULL,
    PRIMARY KEY (rule_id, channel_id)
);
CREATE INDEX rule_channel_by_channel ON rule_channel (channel_id);

-- Channels and rules as people see them.
CREATE VIEW configured_channel AS
SELECT c.id, c.namespace, c.key, c.type, c.name, c.url, c.format, c.headers, c.signing_secret, c.metadata::text AS metadata,
       c.disabled_by, c.disabled_reason, c.retry_schedule, c.concurrency, c.expire_after, c.rate_limit, c.created_at,
       c.updated_at, c.deleted_at, greatest(p.paused_until, p.open_until) AS paused_until
FROM channel c
LEFT JOIN channel_pace p ON p.channel_id = c.id;

CREATE VIEW configured_rule AS
SELECT r.id, r.namespace, r.key, r.type, r.name, r.spec::text AS spec, r.metadata::text AS metadata, r.disabled,
       r.ignoring::text AS ignoring, r.created_at, r.updated_at, r.deleted_at,
       coalesce((SELECT array_agg(rc.channel_id ORDER BY rc.position) FROM rule_channel rc WHERE rc.rule_id = r.id), '{}')
           AS channels
FROM rule r;
