-- Undo claims that nothing was sent for: due at once, for anybody; a probe is free again. Needs the tokens.
-- Lock order: deliveries by id, then paces.
WITH locked AS MATERIALIZED (
    SELECT d.id, d.channel_id, d.token
    FROM delivery d
    JOIN unnest(@ids::bigint[], @tokens::uuid[]) AS u (id, token) ON u.id = d.id AND u.token = d.token
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
SET due_at = clock_timestamp(),
    token = NULL,
    -- In a round without any attempt, sending has not started.
    state = CASE
        WHEN d.resend_asked OR (d.step = 0 AND d.interrupted = 0 AND d.round > 1) THEN 'RESENDING'
        WHEN d.step = 0 AND d.interrupted = 0 THEN 'PENDING'
        ELSE d.state
    END,
    -- Nothing was in flight: what a resend waited for has ended.
    step = CASE WHEN d.resend_asked THEN 0 ELSE d.step END,
    interrupted = CASE WHEN d.resend_asked THEN 0 ELSE d.interrupted END,
    round = d.round + d.resend_asked::int,
    round_from = CASE WHEN d.resend_asked THEN clock_timestamp() ELSE d.round_from END,
    never_expires = d.never_expires OR d.resend_asked,
    resend_asked = false
FROM locked l
WHERE d.id = l.id
RETURNING d.id
