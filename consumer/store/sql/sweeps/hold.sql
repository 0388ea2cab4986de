-- Go on through the deliveries that wait for another one, *limit* at a time: one whose other is open is due at no time,
-- and one whose other has ended is due. A statement that makes, ends or begins again a delivery does that for those
-- that wait for it; here is found what was written at the same moment, by an older release, or by a resend of the
-- other. A claim leaves what must wait in any case. What another process has set right meanwhile is left as it is.
-- What was written as its first one ended is held, and new: so those that are held are looked at once more in the order
-- in which they came to be, each when both must have been committed (*settled*). The walk through all takes a minute
-- for 300,000. *since* and *since_id*: how far that is; NULL, or ahead, by a clock that went back: what has come in the
-- last minute.
-- Returns where to go on, of the walk NULL at its end, and whether something is due now.
-- Lock order: deliveries by id; none is waited for (SKIP LOCKED).
WITH walked AS MATERIALIZED (
    SELECT w.id, w.waits_for, w.channel_id, w.due_at = 'infinity' AS is_held
    FROM delivery w
    WHERE w.waits_for IS NOT NULL
      AND w.state IN ('PENDING', 'SENDING', 'RESENDING')
      AND (w.waits_for, w.channel_id) > (@event::text, @channel::text)
    ORDER BY w.waits_for, w.channel_id
    LIMIT @limit::int
),
fresh AS MATERIALIZED (
    SELECT w.id, w.waits_for, w.channel_id, w.round_from
    FROM delivery w
    WHERE NOT isfinite(w.due_at)                          -- as the index of those says it
      AND (w.round_from, w.id) > (
          CASE
              WHEN @since::timestamptz < statement_timestamp() THEN @since::timestamptz
              ELSE statement_timestamp() - interval '1 minute'
          END, @since_id::bigint)
      AND w.round_from < statement_timestamp() - @settled::interval
    ORDER BY w.round_from, w.id
    LIMIT @limit::int
),
part AS (
    SELECT w.id, w.waits_for, w.channel_id, w.is_held
    FROM walked w
    UNION
    SELECT f.id, f.waits_for, f.channel_id, true
    FROM fresh f
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
    SELECT d.id, w.is_held
    FROM wrong w
    JOIN delivery d ON d.id = w.id
    WHERE d.token IS NULL
      AND (d.due_at = 'infinity') = w.is_held             -- read once more at the lock
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
),
mended AS (
    UPDATE delivery d
    SET due_at = CASE
            WHEN NOT l.is_held THEN 'infinity'
            WHEN d.recovered AND d.state = 'RESENDING' THEN d.round_from
            ELSE clock_timestamp()
        END
    FROM locked l
    WHERE d.id = l.id
    RETURNING d.due_at
),
last AS (
    SELECT w.waits_for, w.channel_id
    FROM walked w
    ORDER BY w.waits_for DESC, w.channel_id DESC
    LIMIT 1
),
newest AS (
    SELECT f.round_from, f.id
    FROM fresh f
    ORDER BY f.round_from DESC, f.id DESC
    LIMIT 1
)
SELECT CASE WHEN n.size = @limit::int THEN l.waits_for END AS event,
       CASE WHEN n.size = @limit::int THEN l.channel_id END AS channel,
       coalesce(f.round_from, @since::timestamptz) AS since,
       coalesce(f.id, @since_id::bigint) AS since_id,
       EXISTS (SELECT 1 FROM mended m WHERE m.due_at < 'infinity') AS is_freeing
FROM (SELECT count(*) AS size FROM walked) n
LEFT JOIN last l ON true
LEFT JOIN newest f ON true
