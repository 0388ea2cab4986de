-- Open channels' breakers, or open them for longer, where each is still as it was judged: no other process has
-- opened it meanwhile, and its receiver has not answered. Its probe, if any, is over.
-- Lock order: paces by channel.
WITH judged AS MATERIALIZED (
    SELECT *
    FROM unnest(@channels::text[], @opened::int[], @downs::int[], @pauses::interval[])
        AS j (channel_id, opened, downs, pause)
),
locked AS MATERIALIZED (
    SELECT p.channel_id, j.pause
    FROM judged j
    JOIN channel_pace p ON p.channel_id = j.channel_id
    WHERE p.opened = j.opened
      AND p.downs >= j.downs
    ORDER BY p.channel_id
    FOR UPDATE OF p
)
UPDATE channel_pace p
SET opened = p.opened + 1,
    open_until = clock_timestamp() + l.pause,
    probe = NULL,
    probe_until = NULL
FROM locked l
WHERE p.channel_id = l.channel_id
RETURNING p.channel_id
