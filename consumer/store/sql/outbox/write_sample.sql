-- Write a test event and its deliveries. It touches no memory and takes no identity, so no event of a record is ever
-- held for it. With a channel named: for that one alone, where it is enabled and not deleted, whatever its rules are.
-- Without one: for the channels of the rule, as a record's event would be, where the rule is enabled and not deleted.
-- Returns the id, or no row where that is no longer so.
-- Lock order: the rule (shared).
WITH alive AS MATERIALIZED (
    SELECT r.id
    FROM rule r
    WHERE r.id = @rule
      AND r.namespace = @namespace
      AND NOT r.disabled
      AND r.deleted_at IS NULL
    FOR SHARE
),
target AS MATERIALIZED (
    SELECT c.id, c.disabled_by, rc.position
    FROM alive a
    JOIN rule_channel rc ON rc.rule_id = a.id
    JOIN channel c ON c.id = rc.channel_id
    WHERE @channel::text IS NULL
      AND c.deleted_at IS NULL
      AND c.disabled_by IS DISTINCT FROM 'person'
    UNION ALL
    SELECT c.id, NULL, 1
    FROM channel c
    WHERE c.id = @channel
      AND c.namespace = @namespace
      AND c.deleted_at IS NULL
      AND c.disabled_by IS NULL
),
made AS (
    INSERT INTO event (id, namespace, rule_id, type, action, subject_key, feature_id, feature_key, customer_id,
                       customer_key, payload, is_test, occurred_at, recorded_at)
    SELECT @id, @namespace, @rule, @type, 'triggered', @subject_key, @feature_id, @feature_key, @customer_id,
           @customer_key, @payload, true, @occurred_at, clock_timestamp()
    WHERE CASE WHEN @channel::text IS NULL THEN EXISTS (SELECT FROM alive) ELSE EXISTS (SELECT FROM target) END
    RETURNING id
),
queued AS (
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at, reason, ended_at)
    SELECT m.id, t.id, @namespace,
           CASE WHEN t.disabled_by IS NULL THEN 'PENDING' ELSE 'FAILED' END,
           CASE WHEN t.disabled_by IS NULL THEN clock_timestamp() END,
           CASE WHEN t.disabled_by IS NOT NULL THEN 'channel_disabled' END,
           CASE WHEN t.disabled_by IS NOT NULL THEN clock_timestamp() END
    FROM made m
    CROSS JOIN target t
    ORDER BY t.position
    RETURNING event_id
)
SELECT m.id
FROM made m
