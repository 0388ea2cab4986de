-- The outbox: events, deliveries, attempts.

-- The guard behind the memory: what an event is about, hashed. Narrow, so that it may stay when events go.
CREATE TABLE event_identity (
    identity   bytea PRIMARY KEY CONSTRAINT event_identity_is_a_hash CHECK (octet_length(identity) = 32),
    event_id   text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX event_identity_by_age ON event_identity (created_at);

-- The outbox. Insert only. Partitioned by the time in the id: so the key stays the id alone, an event is found in one
-- partition, and what is over goes as a table (store/intervals.py, store/retention.py). Ids compare byte by byte,
-- whatever the database's collation. The default partition takes what a wrong clock makes.
CREATE TABLE event (
    id             text COLLATE "C" PRIMARY KEY,          -- ULID: ordered by creation
    namespace      text NOT NULL,
    rule_id        text NOT NULL,
    type           text NOT NULL,
    action         text NOT NULL,
    entitlement_id text,                                  -- of an entitlement's event
    invoice_id     text,                                  -- of an invoice's
    subject_key    text,                                  -- whom it is about, where its record says so
    feature_id     text,
    feature_key    text,
    customer_id    text,
    customer_key   text,
    payload        bytea NOT NULL,                        -- the `openmeter` body, byte for byte
    is_test        boolean NOT NULL DEFAULT false,        -- a person tests a rule or channel: nothing has happened
    occurred_at    timestamptz NOT NULL,                  -- the record's calculatedAt
    recorded_at    timestamptz NOT NULL,                  -- when Kafka got the record: its timestamp
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (id);
-- One for each filter of the list, in its order. Of what most events lack, only those that have it.
CREATE INDEX event_by_namespace ON event (namespace, id);
CREATE INDEX event_by_rule ON event (namespace, rule_id, id);
CREATE INDEX event_by_type ON event (namespace, type, id);
CREATE INDEX event_by_subject ON event (namespace, subject_key, id) WHERE subject_key IS NOT NULL;
CREATE INDEX event_by_feature ON event (namespace, feature_key, id) WHERE feature_key IS NOT NULL;
CREATE INDEX event_by_customer ON event (namespace, customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX event_by_customer_key ON event (namespace, customer_key, id) WHERE customer_key IS NOT NULL;
CREATE TABLE event_default PARTITION OF event DEFAULT;

-- One event for one channel.
CREATE TABLE delivery (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      text COLLATE "C" NOT NULL,
    channel_id    text NOT NULL,
    namespace     text NOT NULL,
    waits_for     text COLLATE "C",                       -- the event whose delivery to the same channel comes first
    state         text NOT NULL,
    due_at        timestamptz,                            -- when it may be claimed next; NULL when it has ended
    token         uuid,                                   -- of the lease; NULL when nobody holds one
    attempts      integer NOT NULL DEFAULT 0,             -- attempts begun and recorded, of all rounds
    step          smallint NOT NULL DEFAULT 0,            -- steps of the retry schedule spent in this round
    interrupted   smallint NOT NULL DEFAULT 0,            -- leases that ran out in this round
    reason        text,                                   -- why it FAILED, where no attempt says so
    round         integer NOT NULL DEFAULT 1,            -- grows with each resend and recovery
    round_from    timestamptz NOT NULL DEFAULT clock_timestamp(),
    never_expires boolean NOT NULL DEFAULT false,         -- a person resent it: `expire_after` does not hold
    resend_asked  boolean NOT NULL DEFAULT false,         -- while in flight: its next round begins when that has ended
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    CONSTRAINT delivery_state_known CHECK (state IN ('PENDING', 'SENDING', 'RESENDING', 'SUCCESS', 'FAILED')),
    CONSTRAINT delivery_ended_is_never_due CHECK ((state IN ('SUCCESS', 'FAILED')) = (due_at IS NULL)),
    CONSTRAINT delivery_ended_is_not_leased CHECK (due_at IS NOT NULL OR token IS NULL),
    CONSTRAINT delivery_ended_says_when CHECK ((due_at IS NULL) = (ended_at IS NOT NULL)),
    CONSTRAINT delivery_resend_waits_for_a_lease CHECK (token IS NOT NULL OR NOT resend_asked),
    CONSTRAINT delivery_once_for_each_channel UNIQUE (event_id, channel_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
-- Three questions about what is open, an index for each, and each says "open" in its own way: so no other can answer it.
-- When the planner last looked, most likely nothing was open. All three looked empty then, and cost the same: it took
-- the one by age for everything, and walked all that a receiver's failure had left open, for each delivery.
-- What is due, by channel.
CREATE INDEX delivery_due ON delivery (channel_id, due_at, id) WHERE due_at IS NOT NULL;
-- What has lived too long.
CREATE INDEX delivery_round ON delivery (round_from) WHERE ended_at IS NULL;
-- Who waits for a delivery that has just ended.
CREATE INDEX delivery_waiting ON delivery (waits_for, channel_id)
WHERE waits_for IS NOT NULL AND state IN ('PENDING', 'SENDING', 'RESENDING');
-- Who really got what, and what failed, in the order of events; also what there is to recover of a channel. Only of what
-- has ended: an open delivery is changed with each attempt, and every index of it with it. With the state, so that pages
-- are found and counted in the index alone: deliveries of one channel lie far apart.
CREATE INDEX delivery_ended ON delivery (channel_id, state, event_id) WHERE due_at IS NULL;
CREATE INDEX delivery_ended_by_namespace ON delivery (namespace, state, event_id) WHERE due_at IS NULL;

-- One request of a delivery. Insert only, but that the truth replaces `interrupted`. Partitioned as its event is.
CREATE TABLE attempt (
    event_id    text COLLATE "C" NOT NULL,
    delivery_id bigint NOT NULL,
    number      integer NOT NULL,
    started_at  timestamptz NOT NULL,
    outcome     text NOT NULL,
    status      smallint,
    duration_ms integer NOT NULL,
    detail      text NOT NULL,
    body        text NOT NULL,
    next_at     timestamptz,
    PRIMARY KEY (event_id, delivery_id, number)
) PARTITION BY RANGE (event_id);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
