-- Make due now what waits for its next attempt on a channel that has a new URL, *limit* at a time. Where that is all of
-- it, none is held by another transaction, and the channel has still this revision, it is done. Returns how many are
-- due now.
-- Lock order: deliveries by id, none is waited for (SKIP LOCKED); then the channel.
WITH waiting AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    WHERE d.channel_id = @channel
      AND d.due_at > statement_timestamp()
      AND d.due_at < 'infinity'
      AND d.token IS NULL
    LIMIT @limit::int
),
locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    WHERE d.id = ANY (ARRAY(SELECT w.id FROM waiting w))
      AND d.due_at > statement_timestamp()
      AND d.due_at < 'infinity'
      AND d.token IS NULL
    ORDER BY d.id
    FOR UPDATE SKIP LOCKED
),
hurried AS (
    UPDATE delivery d
    SET due_at = clock_timestamp()
    WHERE d.id = ANY (ARRAY(SELECT l.id FROM locked l))
    RETURNING d.id
),
done AS (
    UPDATE channel c
    SET is_hurried = false
    WHERE c.id = @channel
      AND c.revision = @revision
      AND (SELECT count(*) FROM waiting) < @limit::int
      AND (SELECT count(*) FROM locked) = (SELECT count(*) FROM waiting)
)
SELECT count(*)::int AS hurried
FROM hurried
