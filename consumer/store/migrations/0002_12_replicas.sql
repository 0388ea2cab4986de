-- Replicas: one row for each process of a deployment, written every few seconds, for people who look at all of them.
-- Forward only; never edited after a release.

CREATE TABLE replica (
    id           text COLLATE "C" PRIMARY KEY,            -- of the process, a ULID
    host         text NOT NULL,
    pid          integer NOT NULL,
    version      text NOT NULL,
    roles        text[] NOT NULL,
    failing      jsonb NOT NULL,                          -- checks of /readyz that do not pass, each with why: {} is ready
    partitions   jsonb,                                   -- that it reads, with their lag; NULL: it reads none by its roles
    records      bigint,                                  -- taken since its start; NULL likewise
    dead_letters jsonb,                                   -- made since its start, by reason; NULL likewise
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- What may go, the longest silent first.
CREATE INDEX replica_seen ON replica (seen_at);
