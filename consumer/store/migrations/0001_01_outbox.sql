-- Configuration, memory, outbox, attempts. Forward only; never edited after a release.

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

-- Memory: one small document an entitlement, written by compare-and-set on its version.
CREATE TABLE entitlement (
    namespace   text NOT NULL,
    id          text NOT NULL,
    version     bigint NOT NULL,
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL,
    as_of       timestamptz,                              -- the newest record that changed a mark of this period
    about       json NOT NULL,                            -- feature, subject, customer, entitlement as last written
    marks       json NOT NULL,                            -- rule id → threshold → mark
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, id),
    CONSTRAINT entitlement_period_ends_after_it_starts CHECK (period_to > period_from)
) WITH (fillfactor = 80);

-- The guard behind the memory: what an event is about, hashed. Narrow, so that it may stay when events go.
CREATE TABLE event_identity (
    identity   bytea PRIMARY KEY CONSTRAINT event_identity_is_a_hash CHECK (octet_length(identity) = 32),
    event_id   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The outbox. Insert only.
CREATE TABLE event (
    id             text PRIMARY KEY,                      -- ULID: ordered by creation
    namespace      text NOT NULL,
    rule_id        text NOT NULL,
    type           text NOT NULL,
    action         text NOT NULL,
    entitlement_id text,
    payload        bytea NOT NULL,                        -- the `openmeter` body, byte for byte
    occurred_at    timestamptz NOT NULL,                  -- the record's calculatedAt
    recorded_at    timestamptz NOT NULL,                  -- when Kafka got the record: its timestamp
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One event for one channel.
CREATE TABLE delivery (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      text NOT NULL,
    channel_id    text NOT NULL,
    namespace     text NOT NULL,
    state         text NOT NULL,
    due_at        timestamptz,                            -- when it may be claimed next; NULL when it has ended
    token         uuid,                                   -- of the lease; NULL when nobody holds one
    attempts      integer NOT NULL DEFAULT 0,             -- attempts begun and recorded, of all rounds
    step          smallint NOT NULL DEFAULT 0,            -- steps of the retry schedule spent in this round
    interrupted   smallint NOT NULL DEFAULT 0,            -- leases that ran out in this round
    reason        text,                                   -- why it FAILED, where no attempt says so
    round_from    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    CONSTRAINT delivery_state_known CHECK (state IN ('PENDING', 'SENDING', 'RESENDING', 'SUCCESS', 'FAILED')),
    CONSTRAINT delivery_ended_is_never_due CHECK ((state IN ('SUCCESS', 'FAILED')) = (due_at IS NULL)),
    CONSTRAINT delivery_ended_is_not_leased CHECK (due_at IS NOT NULL OR token IS NULL),
    CONSTRAINT delivery_ended_says_when CHECK ((due_at IS NULL) = (ended_at IS NOT NULL)),
    CONSTRAINT delivery_once_for_each_channel UNIQUE (event_id, channel_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX delivery_due ON delivery (channel_id, due_at, id) WHERE due_at IS NOT NULL;

-- One request of a delivery. Insert only, but that the truth replaces `interrupted`.
CREATE TABLE attempt (
    delivery_id bigint NOT NULL,
    number      integer NOT NULL,
    started_at  timestamptz NOT NULL,
    outcome     text NOT NULL,
    status      smallint,
    duration_ms integer NOT NULL,
    detail      text NOT NULL,
    body        text NOT NULL,
    next_at     timestamptz,
    PRIMARY KEY (delivery_id, number)
);

-- Where a (group, topic, partition) began, so that a lost offset is told from one that never was.
CREATE TABLE start_offset (
    group_id  text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    committed boolean NOT NULL DEFAULT false,             -- Kafka has had an offset of ours
    PRIMARY KEY (group_id, topic, partition)
);
