-- Write memory, events and deliveries of a batch: for each document all of it or nothing.
--
-- Guarantees. A document is written only over the version it was judged on; its events and deliveries only with it. A
-- rule that was disabled or deleted meanwhile leaves every document untouched that holds an event of it. Two writers of
-- one document: one wins, the other gets `changed`.
-- Lock order: rules by id (shared), documents by key, identities by hash. A rule's editor waits for the batch.
WITH doc AS MATERIALIZED (
    SELECT *
    FROM unnest(@namespaces::text[], @ids::text[], @versions::bigint[], @periods_from::timestamptz[],
                @periods_to::timestamptz[], @as_of::timestamptz[], @abouts::text[], @marks::text[])
         WITH ORDINALITY AS d (namespace, id, version, period_from, period_to, as_of, about, marks, n)
),
fresh AS MATERIALIZED (
    SELECT *
    FROM unnest(@event_documents::int[], @event_ids::text[], @identities::bytea[], @rules::text[], @types::text[],
                @actions::text[], @afters::bytea[], @payloads::bytea[], @occurred::timestamptz[], @recorded::timestamptz[])
         AS e (n, id, identity, rule_id, type, action, after, payload, occurred_at, recorded_at)
),
alive AS MATERIALIZED (
    SELECT r.id
    FROM rule r
    WHERE r.id = ANY (@rules::text[])
      AND NOT r.disabled
      AND r.deleted_at IS NULL
    ORDER BY r.id
    FOR SHARE
),
gone AS MATERIALIZED (
    SELECT DISTINCT f.n
    FROM fresh f
    WHERE f.rule_id NOT IN (SELECT id FROM alive)
),
locked AS MATERIALIZED (
    SELECT e.namespace, e.id, e.version
    FROM entitlement e
    JOIN doc d ON d.namespace = e.namespace AND d.id = e.id
    WHERE d.version > 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY e.namespace, e.id
    FOR UPDATE OF e
),
inserted AS (
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, as_of, about, marks)
    SELECT d.namespace, d.id, 1, d.period_from, d.period_to, d.as_of, d.about::json, d.marks::json
    FROM doc d
    WHERE d.version = 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY d.namespace, d.id
    ON CONFLICT DO NOTHING
    RETURNING namespace, id
),
updated AS (
    UPDATE entitlement e
    SET version = e.version + 1,
        period_from = d.period_from,
        period_to = d.period_to,
        as_of = d.as_of,
        about = d.about::json,
        marks = d.marks::json,
        written_at = clock_timestamp()
    FROM doc d
    JOIN locked l ON l.namespace = d.namespace AND l.id = d.id AND l.version = d.version
    WHERE e.namespace = d.namespace
      AND e.id = d.id
      AND e.version = d.version
    RETURNING e.namespace, e.id
),
won AS MATERIALIZED (
    SELECT d.n, d.namespace, d.id
    FROM doc d
    JOIN (SELECT namespace, id FROM inserted UNION ALL SELECT namespace, id FROM updated) w
      ON w.namespace = d.namespace AND w.id = d.id
),
identified AS (
    INSERT INTO event_identity (identity, event_id)
    SELECT f.identity, f.id
    FROM fresh f
    JOIN won ON won.n = f.n
    ORDER BY f.identity
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
made AS (
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, payload, occurred_at, recorded_at)
    SELECT f.id, won.namespace, f.rule_id, f.type, f.action, won.id, f.payload, f.occurred_at, f.recorded_at
    FROM fresh f
    JOIN won ON won.n = f.n
    JOIN identified i ON i.event_id = f.id
    RETURNING id, namespace, rule_id
),
queued AS (
    -- A channel that a person disabled gets none; one that Tollbell disabled gets its delivery, FAILED, to recover.
    -- The event before it may be of this very statement, or an older one; one never made is waited for by nobody.
    INSERT INTO delivery (event_id, channel_id, namespace, waits_for, state, due_at, reason, ended_at)
    SELECT m.id, c.id, m.namespace,
           coalesce((SELECT b.id FROM fresh b WHERE b.identity = f.after),
                    (SELECT i.event_id FROM event_identity i WHERE i.identity = f.after)),
           CASE WHEN c.disabled_by IS NULL THEN 'PENDING' ELSE 'FAILED' END,
           CASE WHEN c.disabled_by IS NULL THEN clock_timestamp() END,
           CASE WHEN c.disabled_by IS NOT NULL THEN 'channel_disabled' END,
           CASE WHEN c.disabled_by IS NOT NULL THEN clock_timestamp() END
    FROM made m
    JOIN fresh f ON f.id = m.id
    JOIN rule_channel rc ON rc.rule_id = m.rule_id
    JOIN channel c ON c.id = rc.channel_id
    WHERE c.deleted_at IS NULL
      AND c.disabled_by IS DISTINCT FROM 'person'
    ORDER BY m.id, rc.position
    RETURNING event_id
),
told AS (
    SELECT f.n, array_agg(m.id) AS event_ids, coalesce(sum(q.deliveries), 0)::int AS deliveries
    FROM made m
    JOIN fresh f ON f.id = m.id
    LEFT JOIN (SELECT event_id, count(*) AS deliveries FROM queued GROUP BY event_id) q ON q.event_id = m.id
    GROUP BY f.n
)
SELECT d.n::int AS n,
       CASE WHEN g.n IS NOT NULL THEN 'rule_gone' WHEN w.n IS NOT NULL THEN 'written' ELSE 'changed' END AS result,
       coalesce(t.event_ids, '{}') AS event_ids,
       coalesce(t.deliveries, 0) AS deliveries
FROM doc d
LEFT JOIN gone g ON g.n = d.n
LEFT JOIN won w ON w.n = d.n
LEFT JOIN told t ON t.n = d.n
ORDER BY d.n
