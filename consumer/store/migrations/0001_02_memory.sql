-- Memory of the judgement, and where reading began.

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

-- Where a (group, topic, partition) began, so that a lost offset is told from one that never was.
CREATE TABLE start_offset (
    group_id  text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    committed boolean NOT NULL DEFAULT false,             -- Kafka has had an offset of ours
    PRIMARY KEY (group_id, topic, partition)
);
