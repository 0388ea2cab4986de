-- Write memory, events and deliveries of a batch: for each document all of it or nothing.
--
-- Guarantees. A document is written only over the version it was judged on; its events and deliveries only with it. A
-- rule that was disabled or deleted meanwhile leaves every document untouched that holds an event of it. Two writers of
-- one document: one wins, the other gets `changed`. A new delivery in a slot of the writer's own is leased to it, as a
-- claim would lease it; those rows come after the documents'.
-- Membership is asked by hashed subplans (`IN … IS TRUE` is never made a join): the planner cannot know how many rows a
-- batch has, and its nested loops over them cost 1.9 s for 500 documents, where this costs 60 ms.
-- Lock order: rules by id (shared), entitlements by key, invoices by key, identities by hash. A rule's editor waits for
-- the batch.
WITH doc AS MATERIALIZED (
    SELECT *
    FROM unnest(@kinds::text[], @namespaces::text[], @ids::text[], @versions::bigint[], @as_of::timestamptz[],
                @periods_from::timestamptz[], @periods_to::timestamptz[], @begin_at::timestamptz[], @ended::boolean[],
                @known_at::timestamptz[], @newest_at::timestamptz[], @have_fired::boolean[], @deleted_at::timestamptz[],
                @active_to::timestamptz[], @abouts::text[], @marks::text[], @resets::text[], @sights::text[],
                @states::text[], @resets_until::timestamptz[], @feature_ids::text[], @feature_keys::text[],
                @levels::smallint[], @leveled_at::timestamptz[])
         WITH ORDINALITY AS d (kind, namespace, id, version, as_of, period_from, period_to, begins_at, ended, known_at,
                               newest_at, has_fired, deleted_at, active_to, about, marks, resets, sights, state,
                               reset_until, feature_id, feature_key, level, level_at, n)
),
fresh AS MATERIALIZED (
    SELECT *
    FROM unnest(@event_documents::int[], @event_namespaces::text[], @entitlement_ids::text[], @invoice_ids::text[],
                @event_ids::text[], @identities::bytea[], @rules::text[], @types::text[], @actions::text[],
                @afters::bytea[], @after_ids::text[], @payloads::bytea[], @subject_keys::text[],
                @event_feature_ids::text[], @event_feature_keys::text[], @customer_ids::text[], @customer_keys::text[],
                @occurred::timestamptz[], @recorded::timestamptz[], @records::text[])
         AS e (n, namespace, entitlement_id, invoice_id, id, identity, rule_id, type, action, after, after_id, payload,
               subject_key, feature_id, feature_key, customer_id, customer_key, occurred_at, recorded_at, record)
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
    SELECT e.id
    FROM doc d
    JOIN entitlement e ON e.namespace = d.namespace AND e.id = d.id
    WHERE d.kind = 'entitlement'
      AND d.version > 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY e.namespace, e.id
    FOR UPDATE OF e
),
inserted AS (
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, begins_at, ended, known_at, newest_at,
                             fired_at, as_of, deleted_at, active_to, about, marks, resets, sights, reset_until,
                             feature_id, feature_key, level, level_at)
    SELECT d.namespace, d.id, 1, d.period_from, d.period_to, d.begins_at, d.ended, d.known_at, d.newest_at,
           CASE WHEN d.has_fired THEN clock_timestamp() END, d.as_of, d.deleted_at, d.active_to, d.about::json,
           d.marks::json, d.resets::json, d.sights::json, d.reset_until, d.feature_id, d.feature_key, d.level,
           d.level_at
    FROM doc d
    WHERE d.kind = 'entitlement'
      AND d.version = 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY d.namespace, d.id
    ON CONFLICT DO NOTHING
    RETURNING namespace, id
),
seen AS (
    -- At the first sight of an entitlement alone: features are few, entitlements many.
    INSERT INTO feature AS k (namespace, id, key)
    SELECT DISTINCT ON (d.namespace, d.feature_id) d.namespace, d.feature_id, d.feature_key
    FROM doc d
    WHERE d.kind = 'entitlement'
      AND d.feature_id <> ''
      AND ((d.namespace, d.id) IN (SELECT namespace, id FROM inserted)) IS TRUE
    ORDER BY d.namespace, d.feature_id
    ON CONFLICT (namespace, id) DO UPDATE
    SET key = excluded.key
    WHERE k.key <> excluded.key
),
updated AS (
    UPDATE entitlement e
    SET version = e.version + 1,
        period_from = d.period_from,
        period_to = d.period_to,
        begins_at = d.begins_at,
        shown_at = CASE                                     -- of the start, with whatever end
                       WHEN (e.period_from, e.begins_at) IS NOT DISTINCT FROM (d.period_from, d.begins_at)
                           THEN e.shown_at
                       ELSE clock_timestamp()
                   END,
        fired_at = CASE
                       WHEN d.has_fired THEN clock_timestamp()
                       WHEN (e.period_from, e.begins_at) IS NOT DISTINCT FROM (d.period_from, d.begins_at)
                           THEN e.fired_at
                   END,
        ended = d.ended,
        known_at = d.known_at,
        newest_at = d.newest_at,
        as_of = d.as_of,
        deleted_at = d.deleted_at,
        active_to = d.active_to,
        about = d.about::json,
        marks = d.marks::json,
        resets = d.resets::json,
        sights = d.sights::json,
        reset_until = d.reset_until,
        feature_id = d.feature_id,
        feature_key = d.feature_key,
        level = d.level,
        level_at = d.level_at,
        written_at = clock_timestamp()
    FROM doc d
    WHERE d.kind = 'entitlement'
      AND d.version > 0
      AND d.n NOT IN (SELECT n FROM gone)
      AND (SELECT count(*) FROM locked) >= 0              -- all of them are locked, in order, before one is changed
      AND e.namespace = d.namespace
      AND e.id = d.id
      AND e.version = d.version
    RETURNING e.namespace, e.id
),
invoices_locked AS MATERIALIZED (
    SELECT i.id
    FROM doc d
    JOIN invoice i ON i.namespace = d.namespace AND i.id = d.id
    WHERE d.kind = 'invoice'
      AND d.version > 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY i.namespace, i.id
    FOR UPDATE OF i
),
invoices_inserted AS (
    INSERT INTO invoice (namespace, id, version, state, as_of)
    SELECT d.namespace, d.id, 1, d.state, d.as_of
    FROM doc d
    WHERE d.kind = 'invoice'
      AND d.version = 0
      AND d.n NOT IN (SELECT n FROM gone)
    ORDER BY d.namespace, d.id
    ON CONFLICT DO NOTHING
    RETURNING namespace, id
),
invoices_updated AS (
    UPDATE invoice i
    SET version = i.version + 1,
        state = d.state,
        as_of = d.as_of,
        written_at = clock_timestamp()
    FROM doc d
    WHERE d.kind = 'invoice'
      AND d.version > 0
      AND d.n NOT IN (SELECT n FROM gone)
      AND (SELECT count(*) FROM invoices_locked) >= 0     -- likewise
      AND i.namespace = d.namespace
      AND i.id = d.id
      AND i.version = d.version
    RETURNING i.namespace, i.id
),
won AS MATERIALIZED (
    SELECT d.n
    FROM doc d
    WHERE ((d.kind, d.namespace, d.id) IN (
              SELECT 'entitlement', namespace, id FROM inserted
              UNION ALL
              SELECT 'entitlement', namespace, id FROM updated
              UNION ALL
              SELECT 'invoice', namespace, id FROM invoices_inserted
              UNION ALL
              SELECT 'invoice', namespace, id FROM invoices_updated)) IS TRUE
),
identified AS (
    INSERT INTO event_identity (identity, event_id)
    SELECT f.identity, f.id
    FROM fresh f
    WHERE (f.n IN (SELECT n FROM won)) IS TRUE
    ORDER BY f.identity, f.id                             -- of two that are one event, the first: ids grow
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
made AS (
    INSERT INTO event (id, namespace, rule_id, type, action, entitlement_id, invoice_id, subject_key, feature_id,
                       feature_key, customer_id, customer_key, payload, occurred_at, recorded_at, record)
    SELECT f.id, f.namespace, f.rule_id, f.type, f.action, f.entitlement_id, f.invoice_id, f.subject_key, f.feature_id,
           f.feature_key, f.customer_id, f.customer_key, f.payload, f.occurred_at, f.recorded_at, f.record::json
    FROM fresh f
    WHERE (f.id IN (SELECT event_id FROM identified)) IS TRUE
    RETURNING id
),
queued AS (
    -- A channel that a person disabled gets none; one that Tollbell disabled gets its delivery, FAILED, to recover.
    -- The event before it may be an older one, or of this very statement; no delivery waits for one never made. While
    -- that is open on the same channel, it is due at no time.
    -- The first ones of a channel with slots kept for them are leased as they are made, as a claim would lease them.
    INSERT INTO delivery (event_id, channel_id, namespace, waits_for, state, due_at, token, format, format_revision,
                          reason, ended_at)
    SELECT q.event_id, q.channel_id, q.namespace, q.waits_for,
           CASE WHEN q.is_disabled THEN 'FAILED' WHEN q.place <= q.slots THEN 'SENDING' ELSE 'PENDING' END,
           CASE
               WHEN q.is_disabled THEN NULL
               WHEN q.place <= q.slots THEN clock_timestamp() + @lease::interval
               WHEN q.waits_for IS NOT NULL
                    AND ((q.waits_for IN (SELECT id FROM made)) IS TRUE
                         OR (SELECT true
                             FROM delivery b
                             WHERE b.event_id = q.waits_for
                               AND b.channel_id = q.channel_id
                               AND b.state IN ('PENDING', 'SENDING', 'RESENDING')
                             LIMIT 1)) THEN 'infinity'
               ELSE clock_timestamp()
           END,
           CASE WHEN q.place <= q.slots THEN gen_random_uuid() END,
           CASE WHEN q.place <= q.slots THEN q.format END,
           CASE WHEN q.place <= q.slots THEN q.revision END,
           CASE WHEN q.is_disabled THEN 'channel_disabled' END,
           CASE WHEN q.is_disabled THEN clock_timestamp() END
    FROM (
        SELECT f.id AS event_id, f.namespace, rc.position, c.id AS channel_id, c.format, c.revision,
               CASE WHEN f.after IS NOT NULL
                    THEN coalesce((SELECT i.event_id FROM event_identity i WHERE i.identity = f.after), f.after_id)
               END AS waits_for,
               c.disabled_by IS NOT NULL AS is_disabled,
               CASE
                   WHEN f.after IS NULL AND c.disabled_by IS NULL AND c.rate_limit IS NULL
                   THEN (SELECT least((k.kept -> 'free')::int, c.concurrency - (k.kept -> 'in_flight')::int)
                         FROM channel_pace p
                         CROSS JOIN LATERAL (SELECT @slots::jsonb -> c.id AS kept) k
                         WHERE p.channel_id = c.id
                           AND p.open_until IS NULL
                           AND (p.paused_until IS NULL OR p.paused_until <= clock_timestamp()))
               END AS slots,
               row_number() OVER (PARTITION BY c.id, f.after IS NULL ORDER BY f.id) AS place
        FROM fresh f
        JOIN rule_channel rc ON rc.rule_id = f.rule_id
        JOIN channel c ON c.id = rc.channel_id
        WHERE (f.id IN (SELECT id FROM made)) IS TRUE
          AND c.deleted_at IS NULL
          AND c.disabled_by IS DISTINCT FROM 'person'
    ) q
    ORDER BY q.event_id, q.position
    RETURNING id, event_id, channel_id, state, token, attempts, step, interrupted, round, format, created_at
)
SELECT d.n::int AS n,
       CASE
           WHEN d.n IN (SELECT n FROM gone) THEN 'rule_gone'
           WHEN d.n IN (SELECT n FROM won) THEN 'written'
           ELSE 'changed'
       END AS result,
       -- Of all documents, in the first row: whose they are, the writer knows.
       CASE WHEN d.n = 1 THEN (SELECT array_agg(id) FROM made) END AS made,
       CASE WHEN d.n = 1 THEN (SELECT array_agg(event_id) FROM queued) END AS queued,
       CASE WHEN d.n = 1 THEN (SELECT array_agg(event_id) FROM queued WHERE state = 'FAILED') END AS failed,
       NULL::bigint AS id, NULL AS event_id, NULL AS channel_id, NULL::uuid AS token, NULL::int AS attempts,
       NULL::int AS step, NULL::int AS interrupted, NULL::int AS round, NULL::boolean AS was_lost,
       NULL::timestamptz AS was_due_at, NULL AS was_state, NULL::timestamptz AS slot_until, NULL::int AS revision,
       NULL AS url, NULL AS key, NULL AS name,
       NULL AS format, NULL::bytea AS headers, NULL::bytea AS sealed, NULL::bytea AS signing_secret,
       NULL::bytea[] AS old_secrets, NULL::interval[] AS retry_schedule, NULL::bytea AS rendered, NULL AS holes,
       NULL::int[] AS permanent_statuses, NULL AS request_origin, NULL::boolean AS has_consent
FROM doc d
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, q.id, q.event_id, q.channel_id, q.token, q.attempts, q.step, q.interrupted,
       q.round, false, q.created_at, 'PENDING', NULL, c.revision, c.url, c.key, c.name, q.format, c.headers, c.sealed,
       c.signing_secret, c.old_secrets, c.retry_schedule, NULL, NULL, c.permanent_statuses, c.request_origin,
       c.has_consent
FROM queued q
CROSS JOIN LATERAL (
    SELECT c.revision, c.url, c.key, c.name, c.headers, c.sealed, c.signing_secret, c.retry_schedule,
           c.permanent_statuses, c.request_origin, c.consent_until > clock_timestamp() AS has_consent,
           (SELECT array_agg(o.secret ORDER BY o.replaced_at DESC)
            FROM channel_old_secret o
            WHERE o.channel_id = c.id
              AND o.valid_until > clock_timestamp()) AS old_secrets
    FROM channel c
    WHERE c.id = q.channel_id
    LIMIT 1
) c
WHERE q.token IS NOT NULL
ORDER BY n, id
