-- Go on through the deliveries that wait for another one, *limit* at a time: one whose other is open is due at no time, and
-- one whose other has ended is due. Whoever makes, ends or begins again a delivery does that for those that wait for it;
-- here is found what was written at the same moment, by an older release, or by a resend of the other. A claim leaves what
-- must wait in any case.
-- Returns where to go on, NULL at the end, and whether something is due now.
-- Lock order: deliveries by id; none is waited for (SKIP LOCKED).
WITH part AS MATERIALIZED (
    SELECT w.id, w.waits_for, w.channel_id, w.due_at = 'infinity' AS is_held
    FROM delivery w
    WHERE w.waits_for IS NOT NULL
      AND w.state IN ('PENDING', 'SENDING', 'RESENDING')
      AND (w.waits_for, w.channel_id) > (@event::text, @channel::text)
    ORDER BY w.waits_for, w.channel_id
    LIMIT @limit::int
),
wrong AS MATERIALIZED (
    SELECT p.id, p.is_held
    FROM part p
    CROSS JOIN LATERAL (
        SELECT (SELECT true
                FROM delivery b
                WHERE b.event_id = p.waits_for
                  AND b.channel_id = p.channel_id
                  AND b.state IN ('PENDING', 'SENDING', 'RESENDING')
                LIMIT 1) IS TRUE AS must_wait) o
    WHERE p.is_held <> o.must_wait
),
locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    WHERE d.id = ANY (ARRAY(SELECT w.id FROM wrong w))
      AND d.due_at IS NOT NULL
      AND d.token IS NULL
    ORDER BY d.id
    FOR UPDATE SKIP LOCKED
),
mended AS (
    UPDATE delivery d
    SET due_at = CASE
            WHEN d.due_at < 'infinity' THEN 'infinity'
            WHEN d.recovered AND d.state = 'RESENDING' THEN d.round_from
            ELSE clock_timestamp()
        END
    WHERE d.id = ANY (ARRAY(SELECT l.id FROM locked l))
    RETURNING d.due_at
),
last AS (
    SELECT p.waits_for, p.channel_id
    FROM part p
    ORDER BY p.waits_for DESC, p.channel_id DESC
    LIMIT 1
)
SELECT CASE WHEN n.size = @limit::int THEN l.waits_for END AS event,
       CASE WHEN n.size = @limit::int THEN l.channel_id END AS channel,
       EXISTS (SELECT 1 FROM mended m WHERE m.due_at < 'infinity') AS is_freeing
FROM (SELECT count(*) AS size FROM part) n
LEFT JOIN last l ON true
