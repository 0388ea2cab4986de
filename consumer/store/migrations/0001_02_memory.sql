-- Memory of the judgement, and where reading began.

-- Memory: one small document an entitlement, written by compare-and-set on its version.
CREATE TABLE entitlement (
    namespace   text NOT NULL,
    id          text NOT NULL,
    version     bigint NOT NULL,
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL,
    shown_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- when a record first showed this period and end
    ended       boolean NOT NULL DEFAULT false,           -- by the clock: its records are of the past from then on
    as_of       timestamptz,                              -- the newest record that changed a mark of this period
    deleted_at  timestamptz,                              -- the delete's calculatedAt; NULL after a newer record
    active_to   timestamptz,                              -- as last shown
    about       json NOT NULL,                            -- feature, subject, customer, entitlement as last written
    marks       json NOT NULL,                            -- rule id → threshold, or reset → mark
    sights      json NOT NULL DEFAULT '{}',               -- rule id → threshold → catalog revision of its first sight
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, id),
    CONSTRAINT entitlement_period_ends_after_it_starts CHECK (period_to > period_from)
) WITH (fillfactor = 80);
-- What the clock has to end: a period that was shown before its end, of an entitlement that lives on.
CREATE INDEX entitlement_ends ON entitlement (period_to)
WHERE NOT ended
  AND deleted_at IS NULL
  AND shown_at < period_to
  AND (active_to IS NULL OR active_to > period_to);
-- What may go a retention after its period's end: the rest. A row enters when it is over, so the hot path never pays.
CREATE INDEX entitlement_over ON entitlement (period_to)
WHERE ended OR deleted_at IS NOT NULL OR shown_at >= period_to OR active_to <= period_to;

-- The same for an invoice.
CREATE TABLE invoice (
    namespace  text NOT NULL,
    id         text NOT NULL,
    version    bigint NOT NULL,
    state      text NOT NULL,                             -- the extended status, of the newest record seen
    as_of      timestamptz NOT NULL,                      -- that record's time
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, id)
) WITH (fillfactor = 80);
CREATE INDEX invoice_by_age ON invoice (written_at);

-- Where a (group, topic, partition) began, so that a lost offset is told from one that never was.
CREATE TABLE start_offset (
    group_id  text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    committed boolean NOT NULL DEFAULT false,             -- Kafka has had an offset of ours
    PRIMARY KEY (group_id, topic, partition)
);
