-- Undo claims that nothing was sent for: each is what it was before, in its former place; a probe is free again. Needs the
-- tokens. A lease that had run out before the claim stays recorded. A resend that was asked for meanwhile begins here.
-- Lock order: deliveries by id, then paces.
WITH locked AS MATERIALIZED (
    SELECT d.id, d.channel_id, d.token, u.due_at, u.state
    FROM delivery d
    JOIN unnest(@ids::bigint[], @tokens::uuid[], @due_at::timestamptz[], @states::text[]) AS u (id, token, due_at, state)
      ON u.id = d.id AND u.token = d.token
    ORDER BY d.id
    FOR UPDATE OF d
),
unprobed AS (
    UPDATE channel_pace p
    SET probe = NULL,
        probe_until = NULL
    FROM locked l
    WHERE p.channel_id = l.channel_id
      AND p.probe = l.token
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
