-- Write an entitlement, an event and a delivery that no customer has, to see whether Postgres takes such rows now: in a
-- transaction that is rolled back. They belong to no namespace, rule or channel there can be.
WITH entitled AS (
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)
    VALUES ('', @id, 1, clock_timestamp(), clock_timestamp() + interval '1 day', '{}', '{}')
),
identified AS (
    INSERT INTO event_identity (identity, event_id)
    VALUES (sha256(convert_to(@id, 'UTF8')), @id)
),
made AS (
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, payload, occurred_at, recorded_at)
    VALUES (@id, '', '', '', 'triggered', @id, '{}', clock_timestamp(), clock_timestamp())
)
INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
VALUES (@id, '', '', 'PENDING', clock_timestamp())
