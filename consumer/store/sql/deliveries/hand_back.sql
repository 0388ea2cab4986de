-- Undo claims that nothing was sent for: each is what it was before, in its former place; a probe is free again. Needs the
-- tokens. A lease that had run out before the claim stays recorded. A resend that was asked for meanwhile begins here.
-- Of a slot of its channel's rate comes back what has not passed: the rest would let more begin at once than the rate allows.
-- Lock order: deliveries by id, then paces by channel.
WITH locked AS MATERIALIZED (
    SELECT d.id, d.channel_id, d.token, u.due_at, u.state, u.slot_until
    FROM delivery d
    JOIN unnest(@ids::bigint[], @tokens::uuid[], @due_at::timestamptz[], @states::text[], @slots_until::timestamptz[])
         AS u (id, token, due_at, state, slot_until)
      ON u.id = d.id AND u.token = d.token
    ORDER BY d.id
    FOR UPDATE OF d
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
               coalesce(sum(greatest(least(l.slot_until - clock_timestamp(), interval '1 second' / c.rate_limit), interval '0'))
                            FILTER (WHERE l.slot_until IS NOT NULL), interval '0') AS unspent
        FROM held h
        JOIN locked l ON l.channel_id = h.channel_id
        JOIN channel c ON c.id = h.channel_id
        GROUP BY h.channel_id
    ) h
    WHERE p.channel_id = h.channel_id
)
UPDATE delivery d
SET due_at = CASE WHEN d.resend_asked THEN clock_timestamp() ELSE l.due_at END,
    token = NULL,
    state = CASE WHEN d.resend_asked THEN 'RESENDING' ELSE l.state END,
    format = CASE WHEN NOT d.resend_asked AND l.state = 'SENDING' THEN d.format END,
    -- Nothing was in flight: what a resend waited for has ended.
    step = CASE WHEN d.resend_asked THEN 0 ELSE d.step END,
    interrupted = CASE WHEN d.resend_asked THEN 0 ELSE d.interrupted END,
    round = d.round + d.resend_asked::int,
    round_from = CASE WHEN d.resend_asked THEN clock_timestamp() ELSE d.round_from END,
    recovered = d.recovered AND NOT d.resend_asked,
    never_expires = d.never_expires OR d.resend_asked,
    resend_asked = false
FROM locked l
WHERE d.id = l.id
RETURNING d.id
