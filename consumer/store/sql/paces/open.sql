-- Open a channel's breaker, or open it for longer, if it is still as it was judged: nobody else has opened it meanwhile,
-- and nobody has answered there. Its probe, if any, is over.
UPDATE channel_pace p
SET opened = p.opened + 1,
    open_until = clock_timestamp() + @pause::interval,
    probe = NULL,
    probe_until = NULL
WHERE p.channel_id = @channel_id
  AND p.opened = @opened
  AND p.downs >= @downs
RETURNING p.channel_id
