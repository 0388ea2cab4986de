-- Lease due deliveries: of each channel at most as many as it has free slots. Safe from any number of processes: a row
-- locked by another is skipped, and a leased one is not due before its lease has run out.
-- A delivery that waits for another one is left until that has ended, however.
-- How many channels are asked for and how many deliveries there are to pick, the planner cannot know. So nothing here
-- joins two that may both be many: each is looked up by its key. Of a subquery with LIMIT it makes no anti-join with all
-- that is due; of arrays, which it takes for ten, no walk along the key to what is updated, and no loop over all for each.
-- (A claim of 100 from 10 channels, 4,000 due, at 300,000 deliveries: 87,863 rows read, now 662. A claim of 500 from 500
-- channels: 184 ms, now 22.)
-- Those of *but* are passed over; of *only*, where it is not NULL, there are no others.
-- One past its channel's `expire_after` is left to the sweep, but for what a person resent.
-- A channel with a rate gives out the slots that are free by now, over all replicas; one whose breaker is open and whose
-- pause is over gives out one, the probe, until its lease runs out. Their rows are held for that, and theirs alone: a
-- channel whose row somebody else holds is left for the next claim.
-- A body of more than *held_bytes* is not read here, but by `body` when it is sent: its length alone is known without it.
-- A token found at the claim is a lease that ran out: its attempt is recorded as `interrupted`; a resend that waited for
-- its end begins its round here.
-- Lock order: paces by channel, then deliveries; none is waited for (SKIP LOCKED).
WITH asked AS MATERIALIZED (
    SELECT s.channel_id, s.free, c.expire_after, c.rate_limit,
           c.rate_limit IS NOT NULL OR c.open_until IS NOT NULL AS is_paced,
           greatest(floor(c.rate_limit * @burst_seconds::float8), 1) AS burst
    FROM unnest(@channels::text[], @free::int[]) AS s (channel_id, free)
    CROSS JOIN LATERAL (
        SELECT c.disabled_by, c.deleted_at, c.expire_after, c.rate_limit, p.paused_until, p.open_until
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
    SELECT a.channel_id, a.free, a.expire_after, a.rate_limit, a.burst, p.slots_from, p.open_until
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
    SELECT a.channel_id, a.expire_after, a.free, false AS is_paced, NULL::float8 AS rate_limit,
           NULL::timestamptz AS slots_from, false AS is_probe
    FROM asked a
    WHERE NOT a.is_paced
    UNION ALL
    SELECT g.channel_id, g.expire_after,
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
                   greatest(n.now, least(coalesce(g.slots_from, n.now), n.now + g.burst / g.rate_limit * interval '1 second'))
               END AS slots_from) f
),
picked AS MATERIALIZED (
    SELECT d.id, d.event_id, d.channel_id, d.token, d.attempts, gen_random_uuid() AS lease,
           s.is_paced, s.rate_limit, s.slots_from, s.is_probe
    FROM slot s
    CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.channel_id, d.token, d.attempts
        FROM delivery d
        WHERE d.channel_id = s.channel_id
          AND d.due_at <= statement_timestamp()           -- stable: an index ends there, not at the last one due ever
          AND d.id <> ALL (@but::bigint[])
          AND (@only::bigint[] IS NULL OR d.id = ANY (@only::bigint[]))
          AND (s.expire_after IS NULL
               OR d.never_expires
               OR d.resend_asked
               OR d.created_at + s.expire_after > clock_timestamp())
          AND (d.waits_for IS NULL OR (
              SELECT true
              FROM delivery b
              WHERE b.event_id = d.waits_for
                AND b.channel_id = d.channel_id
                AND b.state IN ('PENDING', 'SENDING', 'RESENDING')      -- not as an index of what is open says it
              LIMIT 1) IS NULL)
        ORDER BY d.due_at, d.id
        LIMIT s.free
        FOR UPDATE SKIP LOCKED
    ) d
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
    SELECT p.event_id, p.id, p.attempts + 1, clock_timestamp(), 'interrupted', 0, 'the lease ran out: its sender died or hung', ''
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
        round = d.round + d.resend_asked::int,
        round_from = CASE WHEN d.resend_asked THEN clock_timestamp() ELSE d.round_from END,
        never_expires = d.never_expires OR d.resend_asked,
        resend_asked = false
    FROM unnest(ARRAY(SELECT id FROM picked), ARRAY(SELECT lease FROM picked), ARRAY(SELECT token IS NOT NULL FROM picked))
         AS p (id, lease, was_lost)
    WHERE d.id = p.id
    RETURNING d.id, d.event_id, d.channel_id, d.token, d.attempts, d.step, d.interrupted, d.round, p.was_lost
)
SELECT l.id, l.event_id, l.channel_id, l.token, l.attempts, l.step, l.interrupted, l.round, l.was_lost,
       CASE WHEN s.size <= @held_bytes::int THEN e.payload END AS payload, e.recorded_at, s.size, c.url, c.format,
       c.headers, c.signing_secret,
       (SELECT array_agg(o.secret ORDER BY o.replaced_at DESC)
        FROM channel_old_secret o
        WHERE o.channel_id = l.channel_id
          AND o.valid_until > clock_timestamp()) AS old_secrets,
       c.retry_schedule, CASE WHEN s.size <= @held_bytes::int THEN r.body END AS rendered
FROM leased l
-- Each by its own look into one partition: as a plain join the planner reads all of them (tried: 20 ms became 220).
CROSS JOIN LATERAL (SELECT v.payload, v.recorded_at FROM event v WHERE v.id = l.event_id LIMIT 1) e
JOIN channel c ON c.id = l.channel_id
LEFT JOIN LATERAL (
    SELECT v.body FROM rendered v WHERE v.event_id = l.event_id AND v.format = c.format LIMIT 1
) r ON c.format <> 'openmeter'
CROSS JOIN LATERAL (SELECT octet_length(e.payload) + coalesce(octet_length(r.body), 0) AS size) s
ORDER BY l.id
