-- Resends of many events by a filter. Their deliveries are named when they are asked for: what was counted is what is sent.
-- An older release leaves jobs of a kind that it does not know.
-- Forward only; never edited after a release.

ALTER TABLE job
    ADD COLUMN filter jsonb,                              -- resend_many: what was asked for, for people
    DROP CONSTRAINT job_kind_known,
    DROP CONSTRAINT job_names_what,
    ADD CONSTRAINT job_kind_known CHECK (kind IN ('resend', 'resend_many', 'recover')),
    ADD CONSTRAINT job_names_what CHECK (CASE kind WHEN 'resend' THEN event_id IS NOT NULL
                                                   WHEN 'resend_many' THEN filter IS NOT NULL
                                                   ELSE channel_id IS NOT NULL AND since IS NOT NULL END);

-- What a resend of many has still to do, in the order of events: gone with the transaction that does it.
CREATE TABLE job_delivery (
    job_id      text NOT NULL,
    n           integer NOT NULL,
    delivery_id bigint NOT NULL,                          -- of one that may be gone by then
    PRIMARY KEY (job_id, n),
    CONSTRAINT job_delivery_of_job FOREIGN KEY (job_id) REFERENCES job (id) ON DELETE CASCADE
);
