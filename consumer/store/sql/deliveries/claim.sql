-- Lease due deliveries: of each channel at most as many as it has free slots. Safe from any number of processes: a row
-- locked by another is skipped, and a leased one is not due before its lease has run out.
-- A delivery that waits for another one is left until that has ended, however; it is not due before (`held`).
-- Of what a recovery sends again at most half is taken while something new is due, of an odd number by chance one more
-- or one less: a claim of one must not always be the same kind's. Without the one, the other has all.
-- How many channels are asked for and how many deliveries there are to pick, the planner cannot know. So nothing here
-- joins two that may both be many: each is looked up by its key. Of a subquery with LIMIT it makes no anti-join with
-- all that is due; of arrays, which it takes for ten, no walk along the key to what is updated, and no loop over all
-- for each.
-- (A claim of 100 from 10 channels, 4,000 due, at 300,000 deliveries: 87,863 rows read, now 662. A claim of 500 from
-- 500 channels: 184 ms, now 22.)
-- Those of *but* are passed over; of *only*, where it is not NULL, there are no others.
-- Left to the sweep: one past its channel's `expire_after`, but for what a person resent; one whose round began before
-- its channel was last disabled; one whose senders have died as often as its schedule has steps.
-- A channel with a rate gives out the slots that are free by now, over all replicas; one whose breaker is open and
-- whose pause is over gives out one, the probe, until its lease runs out. Their rows are held for that, and theirs
-- alone: a channel whose row another transaction holds is left for the next claim.
-- A body of more than *held_bytes* is not read here, but by `body` when it is sent: its length alone is known without
-- it.
-- A token found at the claim is a lease that ran out: its attempt is recorded as `interrupted`; a resend that waited
-- for its end begins its round here, unless it was asked for before its channel was last disabled.
-- A round sends one format: its channel's when its first attempt is claimed. But a channel that has become one of a
-- target that understands nothing else, or was one, leads somewhere else: what was made for the one is refused by the
-- other, and a PagerDuty key, or a template's secret, would be sent to the owner of the new URL. An edited template is
-- the same target, unless the channel has another revision than when it last had the round's: then it has another URL,
-- and what the one template says of the old receiver, with a secret where the other has none, is not for the new one.
-- Returned with what is leased, in the order in which it is to be sent: the channel's revision, and what a hand-back
-- restores.
-- Lock order: paces by channel, then deliveries; none is waited for (SKIP LOCKED).
WITH asked AS MATERIALIZED (
    SELECT s.channel_id, s.free, c.expire_after, c.rounds_end_before, c.rate_limit, c.format, c.revision,
           coalesce(cardinality(c.retry_schedule), @steps::int) AS steps,
           c.rate_limit IS NOT NULL OR c.open_until IS NOT NULL AS is_paced,
           greatest(floor(c.rate_limit * @burst_seconds::float8), 1) AS burst
    FROM unnest(@channels::text[], @free::int[]) AS s (channel_id, free)
    CROSS JOIN LATERAL (
        SELECT c.disabled_by, c.deleted_at, c.expire_after, c.rounds_end_before, c.rate_limit, c.format, c.revision,
               c.retry_schedule, p.paused_until, p.open_until
        FROM channel c
        JOIN channel_pace p ON p.channel_id = c.id
        WHERE c.id = s.channel_id                         -- nothing else here: not by an index of what is not deleted
        LIMIT 1
    ) c
    WHERE c.disabled_by IS NULL
      AND c.deleted_at IS NULL
      AND (c.paused_until IS NULL OR c.paused_until <= clock_timestamp())
      AND (c.open_until IS NULL OR c.open_until <= clock_timestamp())
),
gate AS MATERIALIZED (
    SELECT a.channel_id, a.free, a.expire_after, a.rounds_end_before, a.steps, a.format, a.revision, a.rate_limit,
           a.burst, p.slots_from, p.open_until
    FROM channel_pace p
    JOIN asked a ON a.channel_id = p.channel_id
    WHERE a.is_paced
      AND (p.paused_until IS NULL OR p.paused_until <= clock_timestamp())
      AND (p.open_until IS NULL OR p.open_until <= clock_timestamp())
      AND (p.probe_until IS NULL OR p.probe_until <= clock_timestamp())
    ORDER BY p.channel_id
    FOR UPDATE OF p SKIP LOCKED
),
slot AS MATERIALIZED (
    SELECT a.channel_id, a.expire_after, a.rounds_end_before, a.steps, a.format, a.revision, a.free,
           false AS is_paced, NULL::float8 AS rate_limit, NULL::timestamptz AS slots_from, false AS is_probe
    FROM asked a
    WHERE NOT a.is_paced
    UNION ALL
    SELECT g.channel_id, g.expire_after, g.rounds_end_before, g.steps, g.format, g.revision,
           greatest(0, least(
               g.free,
               CASE WHEN g.open_until IS NOT NULL THEN 1 END,
               floor(g.burst - extract(epoch FROM f.slots_from - n.now)::float8 * g.rate_limit)))::int,
           true, g.rate_limit, f.slots_from, g.open_until IS NOT NULL
    FROM gate g
    CROSS JOIN LATERAL (SELECT clock_timestamp() AS now) n
    -- Never further ahead than a whole burst: under a lower rate, slots were longer.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN g.rate_limit IS NOT NULL THEN
                   greatest(n.now, least(coalesce(g.slots_from, n.now),
                                         n.now + g.burst / g.rate_limit * interval '1 second'))
               END AS slots_from) f
),
found AS MATERIALIZED (
    SELECT d.id, d.event_id, d.channel_id, d.token, d.attempts, d.due_at, d.state, d.resend_asked, d.recovered,
           d.format AS round_format, d.format_revision AS round_revision, s.format, s.revision, s.free, s.is_paced,
           s.rate_limit, s.slots_from, s.is_probe
    FROM slot s
    CROSS JOIN LATERAL (
        SELECT (SELECT true
                FROM delivery d
                WHERE d.channel_id = s.channel_id
                  AND NOT d.recovered
                  AND d.due_at <= statement_timestamp()
                  AND d.id <> ALL (@but::bigint[])        -- nor what the sweep is to end: neither can be claimed
                  AND (s.expire_after IS NULL OR d.never_expires OR d.resend_asked
                       OR d.created_at + s.expire_after > clock_timestamp())
                  AND (s.rounds_end_before IS NULL OR d.round_from >= s.rounds_end_before)
                LIMIT 1) IS TRUE AS has_new) h
    CROSS JOIN (VALUES (false), (true)) k (recovered)
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.channel_id, d.token, d.attempts, d.due_at, d.state, d.resend_asked, d.recovered,
               d.format, d.format_revision
        FROM delivery d
        WHERE d.channel_id = s.channel_id
          AND d.recovered = k.recovered
          AND d.due_at <= statement_timestamp()           -- stable: an index ends there, not at the last one due ever
          AND d.id <> ALL (@but::bigint[])
          AND (@only::bigint[] IS NULL OR d.id = ANY (@only::bigint[]))
          AND (s.rounds_end_before IS NULL OR d.round_from >= s.rounds_end_before)
          AND (d.resend_asked
               OR ((s.expire_after IS NULL OR d.never_expires OR d.created_at + s.expire_after > clock_timestamp())
                   AND (d.token IS NULL OR d.interrupted < @free_interruptions::int OR d.step + 1 < s.steps)))
          AND (d.waits_for IS NULL OR (
              SELECT true
              FROM delivery b
              WHERE b.event_id = d.waits_for
                AND b.channel_id = d.channel_id
                AND b.state IN ('PENDING', 'SENDING', 'RESENDING')      -- not as an index of what is open says it
              LIMIT 1) IS NULL)
        ORDER BY d.due_at, d.id
        LIMIT CASE WHEN k.recovered AND h.has_new THEN (s.free + (random() < 0.5)::int) / 2 ELSE s.free END
        FOR UPDATE SKIP LOCKED
    ) d
),
picked AS MATERIALIZED (
    SELECT f.id, f.event_id, f.channel_id, f.token, f.attempts, f.due_at, gen_random_uuid() AS lease,
           CASE WHEN r.is_new THEN f.format ELSE f.round_format END AS format,
           CASE WHEN r.is_new OR f.round_format = f.format THEN f.revision ELSE f.round_revision END AS format_revision,
           CASE WHEN f.resend_asked THEN 'RESENDING' ELSE f.state END AS state,
           f.is_paced, f.rate_limit, f.slots_from, f.is_probe
    FROM (
        SELECT f.*, row_number() OVER (PARTITION BY f.channel_id ORDER BY NOT f.recovered, f.due_at, f.id) AS place
        FROM found f
    ) f
    CROSS JOIN LATERAL (
        SELECT split_part(f.round_format, ':', 1) AS was, split_part(f.format, ':', 1) AS becomes) k
    CROSS JOIN LATERAL (
        SELECT CASE
                   WHEN f.resend_asked OR f.round_format IS NULL THEN true
                   WHEN f.round_format = f.format THEN false
                   WHEN k.was = k.becomes THEN k.was = 'template' AND (f.round_revision <> f.revision) IS TRUE
                   ELSE ARRAY[k.was, k.becomes] && ARRAY['slack', 'teams', 'discord', 'pagerduty', 'template']
               END AS is_new) r
    WHERE f.place <= f.free
),
spent AS (
    UPDATE channel_pace p
    SET slots_from = CASE
            WHEN t.rate_limit IS NULL THEN p.slots_from
            ELSE t.slots_from + t.slots / t.rate_limit * interval '1 second'
        END,
        probe = CASE WHEN t.is_probe THEN t.lease END,
        probe_until = CASE WHEN t.is_probe THEN clock_timestamp() + @lease::interval END
    FROM (
        SELECT channel_id, rate_limit, slots_from, is_probe, count(*) AS slots, (array_agg(lease))[1] AS lease
        FROM picked
        WHERE is_paced
        GROUP BY channel_id, rate_limit, slots_from, is_probe
    ) t
    WHERE p.channel_id = t.channel_id
),
lost AS (
    INSERT INTO attempt (event_id, delivery_id, number, started_at, outcome, duration_ms, detail, body)
    SELECT p.event_id, p.id, p.attempts + 1, clock_timestamp(), 'interrupted', 0,
           'the lease ran out: its sender died or hung', ''
    FROM picked p
    WHERE p.token IS NOT NULL
    ON CONFLICT DO NOTHING
),
leased AS (
    UPDATE delivery d
    SET due_at = clock_timestamp() + @lease::interval,
        token = p.lease,
        state = 'SENDING',
        attempts = d.attempts + p.was_lost::int,
        interrupted = CASE WHEN d.resend_asked THEN 0 ELSE d.interrupted + p.was_lost::int END,
        step = CASE
            WHEN d.resend_asked THEN 0
            ELSE d.step + (p.was_lost AND d.interrupted >= @free_interruptions::int)::int
        END,
        format = p.format,
        format_revision = p.format_revision,
        round = d.round + d.resend_asked::int,
        round_from = CASE WHEN d.resend_asked THEN clock_timestamp() ELSE d.round_from END,
        recovered = d.recovered AND NOT d.resend_asked,
        never_expires = d.never_expires OR d.resend_asked,
        resend_asked = false
    FROM (
        SELECT array_agg(p.id) AS ids, array_agg(p.lease) AS leases, array_agg(p.token IS NOT NULL) AS were_lost,
               array_agg(p.format) AS formats, array_agg(p.format_revision) AS revisions,
               array_agg(p.due_at) AS were_due_at, array_agg(p.state) AS states, array_agg(p.rate_limit) AS rates
        FROM picked p
    ) a
    CROSS JOIN LATERAL unnest(a.ids, a.leases, a.were_lost, a.formats, a.revisions, a.were_due_at, a.states, a.rates)
         AS p (id, lease, was_lost, format, format_revision, was_due_at, was_state, rate)
    WHERE d.id = p.id
    RETURNING d.id, d.event_id, d.channel_id, d.token, d.attempts, d.step, d.interrupted, d.round, d.format, p.was_lost,
              d.recovered, p.was_due_at, p.was_state, clock_timestamp() + interval '1 second' / p.rate AS slot_until
)
SELECT l.id, l.event_id, l.channel_id, l.token, l.attempts, l.step, l.interrupted, l.round, l.was_lost, l.was_due_at,
       l.was_state, l.slot_until, CASE WHEN s.size <= @held_bytes::int THEN e.payload END AS payload, e.recorded_at,
       s.size, c.revision, c.url, c.key, c.name, e.rule_id, u.key AS rule_key, u.name AS rule_name, e.record, e.is_test,
       l.format, c.headers, c.sealed, c.signing_secret,
       (SELECT array_agg(o.secret ORDER BY o.replaced_at DESC)
        FROM channel_old_secret o
        WHERE o.channel_id = l.channel_id
          AND o.valid_until > clock_timestamp()) AS old_secrets,
       c.retry_schedule, CASE WHEN s.size <= @held_bytes::int THEN r.body END AS rendered,
       r.holes::text AS holes, c.permanent_statuses, c.request_origin,
       c.consent_until > clock_timestamp() AS has_consent
FROM leased l
-- Each by its own look into one partition: as a plain join the planner reads all of them (tried: 20 ms became 220).
CROSS JOIN LATERAL (
    SELECT v.payload, v.recorded_at, v.rule_id, v.record, v.is_test FROM event v WHERE v.id = l.event_id LIMIT 1
) e
LEFT JOIN LATERAL (SELECT r.key, r.name FROM rule r WHERE r.id = e.rule_id LIMIT 1) u ON true
JOIN channel c ON c.id = l.channel_id
LEFT JOIN LATERAL (
    SELECT v.body, v.holes FROM rendered v WHERE v.event_id = l.event_id AND v.format = l.format LIMIT 1
) r ON l.format <> 'openmeter'
CROSS JOIN LATERAL (SELECT octet_length(e.payload) + coalesce(octet_length(r.body), 0) AS size) s
ORDER BY l.recovered, l.was_due_at, l.id
