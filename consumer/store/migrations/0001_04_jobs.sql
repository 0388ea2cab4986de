-- What people asked for that takes a while: resends and recoveries, worked off by the deliverers.

-- The bodies of formats other than the event's own, made once and sent byte for byte ever after, by newer releases too.
-- Partitioned as their events are.
CREATE TABLE rendered (
    event_id   text COLLATE "C" NOT NULL,
    format     text NOT NULL,
    body       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event_id, format)
) PARTITION BY RANGE (event_id);
CREATE TABLE rendered_default PARTITION OF rendered DEFAULT;

-- One row a job. Its progress moves in the transaction of the work, so a killed worker leaves it where it was.
CREATE TABLE job (
    id          text PRIMARY KEY,                         -- ULID: jobs are worked off in this order
    namespace   text NOT NULL,
    kind        text NOT NULL,
    event_id    text,                                     -- resend: of which event
    channel_ids text[],                                   -- resend: to which channels; NULL: to all
    channel_id  text,                                     -- recover: of which channel
    since       timestamptz,                              -- recover: events created since
    after_event text COLLATE "C" NOT NULL DEFAULT '',     -- recover: done up to and with this event
    state       text NOT NULL DEFAULT 'WAITING',
    reason      text,                                     -- why it was STOPPED
    total       integer NOT NULL,                         -- deliveries there were to send again, when asked
    done        integer NOT NULL DEFAULT 0,               -- deliveries that have begun a new round
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at  timestamptz,
    ended_at    timestamptz,
    CONSTRAINT job_kind_known CHECK (kind IN ('resend', 'recover')),
    CONSTRAINT job_names_what CHECK (CASE kind WHEN 'resend' THEN event_id IS NOT NULL
                                               ELSE channel_id IS NOT NULL AND since IS NOT NULL END),
    CONSTRAINT job_state_known CHECK (state IN ('WAITING', 'RUNNING', 'DONE', 'STOPPED')),
    CONSTRAINT job_ended_says_when CHECK ((state IN ('DONE', 'STOPPED')) = (ended_at IS NOT NULL))
);
CREATE INDEX job_open ON job (id) WHERE ended_at IS NULL;
-- What may go a retention after its end.
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;
