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
    paused_until    timestamptz,
    -- what it may have of its own instead of the service's settings
    retry_schedule  interval[],
    concurrency     integer CONSTRAINT channel_concurrency_positive CHECK (concurrency > 0),
    expire_after    interval CONSTRAINT channel_expire_after_positive CHECK (expire_after > interval '0'),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at      timestamptz
);
CREATE UNIQUE INDEX channel_key_unique ON channel (namespace, key) WHERE deleted_at IS NULL;

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

CREATE TABLE rule_channel (
    rule_id    text NOT NULL REFERENCES rule,
    channel_id text NOT NULL REFERENCES channel,
    position   smallint NOT NULL,
    PRIMARY KEY (rule_id, channel_id)
);
CREATE INDEX rule_channel_by_channel ON rule_channel (channel_id);
