-- Undo claims that nothing was sent for: each is what it was before, in its former place; a probe is free again. Needs
-- the tokens. A lease that had run out before the claim stays recorded. A resend that was asked for meanwhile begins
-- here, unless the channel was disabled after that: then the sweep ends it.
-- Of a slot of its channel's rate comes back what has not passed: the rest would let more begin at once than the rate
-- allows.
-- Lock order: deliveries by id, then channels by id, then paces by channel.
WITH locked AS MATERIALIZED (
    SELECT d.id, d.channel_id, d.token, d.round_from, d.resend_asked, u.due_at, u.state, u.slot_until
    FROM delivery d
    JOIN unnest(@ids::bigint[], @tokens::uuid[], @due_at::timestamptz[], @states::text[], @slots_until::timestamptz[])
         AS u (id, token, due_at, state, slot_until)
      ON u.id = d.id AND u.token = d.token
    ORDER BY d.id
    FOR UPDATE OF d
),
resent AS MATERIALIZED (
    SELECT c.id, c.rounds_end_before
    FROM channel c
    WHERE c.id = ANY (ARRAY(SELECT l.channel_id FROM locked l WHERE l.resend_asked))
    ORDER BY c.id
    FOR SHARE
),
back AS MATERIALIZED (
    SELECT l.id, l.due_at, l.state,
           l.resend_asked AND (c.rounds_end_before IS NULL OR l.round_from >= c.rounds_end_before) AS begins
    FROM locked l
    LEFT JOIN resent c ON c.id = l.channel_id
),
held AS MATERIALIZED (
    SELECT p.channel_id, p.probe
    FROM channel_pace p
    WHERE p.channel_id IN (SELECT l.channel_id FROM locked l)
      AND (p.probe IN (SELECT l.token FROM locked l)
           OR p.channel_id IN (SELECT l.channel_id FROM locked l WHERE l.slot_until IS NOT NULL))
    ORDER BY p.channel_id
    FOR UPDATE OF p
),
freed AS (
    UPDATE channel_pace p
    SET probe = CASE WHEN NOT h.has_probe THEN p.probe END,
        probe_until = CASE WHEN NOT h.has_probe THEN p.probe_until END,
        slots_from = p.slots_from - h.unspent
    FROM (
        SELECT h.channel_id, bool_or(h.probe = l.token) IS TRUE AS has_probe,
               -- No more than slots are worth under the rate as it is now.
               coalesce(sum(greatest(least(l.slot_until - clock_timestamp(), interval '1 second' / c.rate_limit),
                                     interval '0'))
                            FILTER (WHERE l.slot_until IS NOT NULL), interval '0') AS unspent
        FROM held h
        JOIN locked l ON l.channel_id = h.channel_id
        JOIN channel c ON c.id = h.channel_id
        GROUP BY h.channel_id
    ) h
    WHERE p.channel_id = h.channel_id
)
UPDATE delivery d
SET due_at = CASE WHEN l.begins THEN clock_timestamp() ELSE l.due_at END,
    token = NULL,
    state = CASE WHEN l.begins THEN 'RESENDING' ELSE l.state END,
    format = CASE WHEN NOT l.begins AND l.state = 'SENDING' THEN d.format END,
    -- Nothing was in flight: what a resend waited for has ended.
    step = CASE WHEN l.begins THEN 0 ELSE d.step END,
    interrupted = CASE WHEN l.begins THEN 0 ELSE d.interrupted END,
    round = d.round + l.begins::int,
    round_from = CASE WHEN l.begins THEN clock_timestamp() ELSE d.round_from END,
    recovered = d.recovered AND NOT l.begins,
    never_expires = d.never_expires OR l.begins,
    resend_asked = false
FROM back l
WHERE d.id = l.id
RETURNING d.id
