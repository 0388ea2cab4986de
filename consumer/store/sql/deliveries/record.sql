-- Record ended attempts, many at once.
--
-- Guarantees. The attempt's row and a 2xx are recorded with or without the lease: the receiver has it. Every other
-- change needs the token that the attempt was claimed with. A row `interrupted` gives way to the truth, never the other
-- way.
-- A 2xx of one whose lease another has taken over ends the delivery, and counts that other attempt, which is still in
-- flight, as `interrupted` until its answer comes; where a resend waits for that attempt, it goes on waiting.
-- A 2xx of a round before this one ends nothing.
-- A delivery whose channel is gone, or was disabled after its round began, ends with that reason instead of a retry;
-- where its receiver has it all the same, from a round before, it is SUCCESS. One that was to be resent when its
-- attempt has ended begins a new round instead of ending, unless its channel was disabled since that was asked for.
-- An attempt of an older revision of its channel (another URL, or before it was enabled) says nothing of the channel as
-- it is: it spends no step, pauses and disables nothing and counts in no run; unless it is a 2xx, it is due again at
-- once.
-- A receiver that asks for it has its channel paused, or disabled by Tollbell.
-- Each channel's runs are counted on: `downs` since its last answer, `failures` since its last success; in the order in
-- which the attempts ended, and a lease's attempt once. An answer closes the breaker; a probe that showed nothing, by
-- our own fault, is free again.
-- What waited for a delivery that has ended is due now (one of a recovery in its place).
-- Returns the channels whose runs changed, and on each row whether another delivery may start now, how many deliveries
-- succeeded, and for what those failed that ended.
-- An edit of a channel waits for what judges it here, or is seen by it: where something failed, or had, the channel's
-- row is locked before its revision is read. Shared, as many record at once; but by a statement that disables one, all
-- of its channels are held for it alone: of two that share a row, neither could change it.
-- Lock order: deliveries by id, then channels by id, then paces by channel, then deliveries that waited by id.
WITH ended AS MATERIALIZED (
    SELECT *
    FROM unnest(@ids::bigint[], @tokens::uuid[], @rounds::int[], @numbers::int[], @revisions::int[],
                @started::timestamptz[], @urls::text[], @outcomes::text[], @statuses::smallint[], @durations::int[],
                @details::text[], @bodies::text[], @delivered::boolean[], @delays::interval[], @spends::boolean[],
                @pauses::interval[], @disables::text[], @answered::boolean[], @failed::boolean[])
         AS a (id, token, round, number, revision, started_at, url, outcome, status, duration_ms, detail, body,
               delivered, delay, spends_step, pause, disable, answered, failed)
),
locked AS MATERIALIZED (
    SELECT d.id, d.channel_id, d.event_id, d.state, d.token, d.attempts, d.round, d.round_from, d.resend_asked,
           d.received, d.due_at IS NOT NULL AS is_open
    FROM delivery d
    WHERE d.id = ANY (@ids::bigint[])
    ORDER BY d.id
    FOR UPDATE
),
failing AS MATERIALIZED (
    -- The others have successes alone, and nothing to forget: most, so they cost no lock.
    SELECT l.channel_id
    FROM ended a
    JOIN locked l ON l.id = a.id
    WHERE NOT a.delivered
      AND false = ANY (@delivered::boolean[])             -- else not even looked for
    UNION
    SELECT q.channel_id
    FROM (SELECT l.channel_id, bool_or(l.resend_asked) AS is_asked FROM locked l GROUP BY l.channel_id) q
    WHERE q.is_asked
       OR (SELECT p.downs > 0 OR p.failures > 0 OR p.opened > 0 FROM channel_pace p WHERE p.channel_id = q.channel_id)
),
shared AS MATERIALIZED (
    SELECT c.id, c.revision, c.deleted_at, c.disabled_by, c.rounds_end_before
    FROM channel c
    WHERE c.id = ANY (ARRAY(SELECT f.channel_id FROM failing f))
      AND @disables::text[] IS NULL                       -- none of them
    ORDER BY c.id
    FOR SHARE
),
held AS MATERIALIZED (
    SELECT c.id, c.revision, c.deleted_at, c.disabled_by, c.rounds_end_before
    FROM channel c
    WHERE c.id = ANY (ARRAY(SELECT f.channel_id FROM failing f))
      AND @disables::text[] IS NOT NULL
    ORDER BY c.id
    FOR NO KEY UPDATE
),
decided AS MATERIALIZED (
    SELECT a.id, a.token, a.number, a.started_at, a.url, a.outcome, a.status, a.duration_ms, a.detail, a.body,
           a.delivered, a.answered, a.failed, l.channel_id, l.event_id, l.state AS was, l.token AS held_by, l.attempts,
           l.resend_asked, l.is_open, l.token IS NOT DISTINCT FROM a.token AS is_holder,
           a.delivered AND l.round = a.round AND (l.token = a.token OR NOT l.resend_asked) AS is_done,
           a.started_at + a.duration_ms * interval '1 millisecond' AS finished_at,
           n.is_current,
           CASE WHEN n.is_current THEN a.pause END AS pause,
           CASE WHEN n.is_current THEN a.disable END AS disable,
           CASE WHEN n.is_current THEN a.delay ELSE interval '0' END AS delay,
           a.spends_step AND n.is_current AS spends_step,
           l.received OR bool_or(a.delivered) OVER of_delivery AS received,
           max(a.number) OVER of_delivery AS last_number,
           bool_or(l.token = a.token) OVER of_delivery IS TRUE AS has_holder,
           CASE
               WHEN a.delivered AND NOT l.resend_asked THEN NULL
               WHEN c.deleted_at IS NOT NULL THEN 'channel_deleted'
               WHEN c.disabled_by IS NOT NULL OR c.rounds_end_before > l.round_from THEN 'channel_disabled'
           END AS over
    FROM ended a
    JOIN locked l ON l.id = a.id
    LEFT JOIN (SELECT * FROM shared UNION ALL SELECT * FROM held) c ON c.id = l.channel_id
    CROSS JOIN LATERAL (SELECT coalesce(c.revision = a.revision, true) AS is_current) n
    WINDOW of_delivery AS (PARTITION BY a.id)
),
judged AS MATERIALIZED (
    SELECT a.*,
           bool_or(a.is_done) OVER of_delivery AS ends,
           a.is_done AND NOT a.has_holder AND a.held_by IS NOT NULL AS counts_holder,
           CASE
               WHEN a.resend_asked AND a.over IS NULL AND a.disable IS NULL THEN 'RESENDING'
               WHEN a.is_done THEN 'SUCCESS'
               WHEN a.delay IS NULL THEN 'FAILED'
               WHEN a.over IS NULL THEN 'SENDING'
               WHEN a.received THEN 'SUCCESS'
               ELSE 'FAILED'
           END AS next_state
    FROM decided a
    WINDOW of_delivery AS (PARTITION BY a.id)
),
deciding AS MATERIALIZED (
    -- Of two attempts of one delivery, the one that decides.
    SELECT DISTINCT ON (a.id) a.*, a.next_state = 'RESENDING' AS begins_again
    FROM judged a
    ORDER BY a.id, a.is_done DESC, a.is_holder DESC, a.number
),
kept AS (
    INSERT INTO attempt AS k
        (event_id, delivery_id, number, started_at, url, outcome, status, duration_ms, detail, body, next_at)
    SELECT a.event_id, a.id, a.number, a.started_at, a.url, a.outcome, a.status, a.duration_ms, a.detail, a.body,
           CASE WHEN a.is_holder AND a.next_state = 'SENDING' AND NOT a.ends THEN clock_timestamp() + a.delay END
    FROM judged a
    UNION ALL
    SELECT n.event_id, n.id, n.attempts + 1, clock_timestamp(), NULL, 'interrupted', NULL, 0,
           'still in flight when the attempt before it was answered', '', NULL
    FROM deciding n
    WHERE n.counts_holder
    ORDER BY 2, 3
    ON CONFLICT (event_id, delivery_id, number) DO UPDATE
    SET started_at = excluded.started_at,
        url = excluded.url,
        outcome = excluded.outcome,
        status = excluded.status,
        duration_ms = excluded.duration_ms,
        detail = excluded.detail,
        body = excluded.body
    WHERE k.outcome = 'interrupted'
),
stopped AS (
    UPDATE channel c
    SET disabled_by = coalesce(c.disabled_by, 'tollbell'),
        disabled_reason = coalesce(c.disabled_reason, q.disable)
    FROM (SELECT channel_id, min(disable) AS disable FROM decided WHERE disable IS NOT NULL GROUP BY channel_id) q
    WHERE c.id = q.channel_id
),
timed AS (
    SELECT a.*,
           max(a.finished_at) FILTER (WHERE a.answered) OVER of_channel AS answered_at,
           max(a.finished_at) FILTER (WHERE a.delivered) OVER of_channel AS delivered_at
    FROM decided a
    WHERE a.is_current
    WINDOW of_channel AS (PARTITION BY a.channel_id)
),
counted AS (
    SELECT t.*,
           t.is_holder AND NOT t.answered AND (t.answered_at IS NULL OR t.finished_at > t.answered_at) AS is_down,
           t.is_holder AND t.failed AND (t.delivered_at IS NULL OR t.finished_at > t.delivered_at) AS is_failure
    FROM timed t
),
tally AS MATERIALIZED (
    SELECT channel_id, max(pause) AS pause,
           max(answered_at) IS NOT NULL AS answered,
           max(delivered_at) IS NOT NULL AS delivered,
           count(*) FILTER (WHERE is_down)::int AS downs,
           count(*) FILTER (WHERE is_failure)::int AS failures,
           coalesce(array_agg(event_id) FILTER (WHERE is_failure), '{}') AS events,
           coalesce(array_agg(token) FILTER (WHERE NOT answered), '{}') AS failed_tokens,
           coalesce(array_agg(token) FILTER (WHERE answered IS NULL), '{}') AS void_tokens
    FROM counted
    GROUP BY channel_id
),
paces AS MATERIALIZED (
    -- A channel that is well has nothing to count: its row is neither locked nor written.
    SELECT p.channel_id, p.opened, p.probe
    FROM channel_pace p
    JOIN tally t ON t.channel_id = p.channel_id
    WHERE t.pause IS NOT NULL
       OR t.downs > 0
       OR t.failures > 0
       OR p.downs > 0
       OR p.failures > 0
       OR p.opened > 0
    ORDER BY p.channel_id
    FOR UPDATE OF p
),
fared AS (
    UPDATE channel_pace p
    SET paused_until = greatest(p.paused_until, clock_timestamp() + t.pause),
        downs = CASE WHEN t.answered THEN 0 ELSE p.downs END + t.downs,
        opened = CASE WHEN t.answered THEN 0 ELSE p.opened END,
        open_until = CASE WHEN t.answered THEN NULL ELSE p.open_until END,
        probe = CASE WHEN t.answered OR p.probe = ANY (t.void_tokens) THEN NULL ELSE p.probe END,
        probe_until = CASE WHEN t.answered OR p.probe = ANY (t.void_tokens) THEN NULL ELSE p.probe_until END,
        failures = CASE WHEN t.delivered THEN 0 ELSE p.failures END + t.failures,
        failing_since = CASE
            WHEN t.failures > 0 AND t.delivered THEN clock_timestamp()
            WHEN t.failures > 0 THEN coalesce(p.failing_since, clock_timestamp())
            WHEN t.delivered THEN NULL
            ELSE p.failing_since
        END,
        failing_events = ARRAY(
            SELECT DISTINCT e
            FROM unnest(CASE WHEN t.delivered THEN '{}' ELSE p.failing_events END || t.events) e
            LIMIT @max_events::int)
    FROM tally t
    JOIN paces l ON l.channel_id = t.channel_id
    WHERE p.channel_id = t.channel_id
    RETURNING p.channel_id, p.downs, p.opened, p.failures, p.failing_since,
              coalesce(clock_timestamp() - p.failing_since, interval '0') AS failing_for,
              cardinality(p.failing_events) AS events,
              coalesce(l.probe = ANY (t.failed_tokens), false) AS is_probe,
              t.answered AND l.opened > 0 AS has_closed
),
moved AS (
    UPDATE delivery d
    SET state = a.next_state,
        due_at = CASE a.next_state
            WHEN 'SENDING' THEN clock_timestamp() + a.delay
            WHEN 'RESENDING' THEN clock_timestamp()
        END,
        ended_at = CASE WHEN a.next_state NOT IN ('SENDING', 'RESENDING') THEN clock_timestamp() END,
        token = NULL,
        reason = CASE
            WHEN a.next_state <> 'FAILED' THEN NULL
            WHEN a.disable IS NOT NULL THEN 'channel_disabled'
            WHEN a.delay IS NOT NULL THEN a.over
        END,
        attempts = greatest(d.attempts + a.counts_holder::int, a.last_number),
        step = CASE WHEN a.begins_again THEN 0 ELSE d.step + (a.spends_step AND a.is_holder)::int END,
        interrupted = CASE
            WHEN a.begins_again THEN 0
            ELSE d.interrupted + (a.outcome = 'interrupted' AND a.is_holder)::int
        END,
        format = CASE WHEN NOT a.begins_again THEN d.format END,
        received = a.received,
        round = d.round + a.begins_again::int,
        round_from = CASE WHEN a.begins_again THEN clock_timestamp() ELSE d.round_from END,
        recovered = d.recovered AND NOT a.begins_again,
        never_expires = d.never_expires OR a.begins_again,
        resend_asked = false
    FROM deciding a
    WHERE d.id = a.id
      AND d.id = ANY (@ids::bigint[])                     -- else a walk along the key, where the table looks small
      AND (a.is_done OR (a.is_holder AND a.is_open))
    RETURNING d.id, d.event_id, d.channel_id, d.state, d.due_at, d.reason, a.is_current, a.was
),
heard AS (
    UPDATE delivery d
    SET received = true
    WHERE d.id = ANY (ARRAY(
              SELECT a.id
              FROM deciding a
              WHERE a.received
                AND NOT a.is_done
                AND NOT (a.is_holder AND a.is_open)))
      AND NOT d.received
),
freed AS (
    UPDATE delivery d
    SET due_at = CASE WHEN d.recovered AND d.state = 'RESENDING' THEN d.round_from ELSE clock_timestamp() END
    WHERE d.id = ANY (ARRAY(
              SELECT w.id
              FROM moved m
              -- By LIMIT a look for each: without, it would be a hash of all that waits. "Open" as the index says it.
              CROSS JOIN LATERAL (
                  SELECT w.id
                  FROM delivery w
                  WHERE w.waits_for = m.event_id
                    AND w.channel_id = m.channel_id
                    AND w.state IN ('PENDING', 'SENDING', 'RESENDING')
                  LIMIT 100) w
              WHERE m.due_at IS NULL))
      AND d.id <> ALL (@ids::bigint[])
      AND d.due_at = 'infinity'
    RETURNING d.id
)
SELECT EXISTS (SELECT 1 FROM freed)
       OR EXISTS (SELECT 1 FROM moved m WHERE m.state = 'RESENDING' OR (m.due_at IS NOT NULL AND NOT m.is_current))
           AS is_freeing,
       (SELECT count(*)::int FROM moved WHERE state = 'SUCCESS' AND was <> 'SUCCESS') AS succeeded,
       (SELECT array_agg(coalesce(reason, 'attempts')) FROM moved WHERE state = 'FAILED') AS failed_for,
       f.channel_id, f.downs, f.opened, f.failures, f.failing_since, f.failing_for, f.events, f.is_probe, f.has_closed
FROM (SELECT 1) AS always
LEFT JOIN fared f ON true
