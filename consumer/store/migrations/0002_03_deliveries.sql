-- Deliveries: facts of an older address or of the time before a disabling are kept apart, what waits for another delivery
-- is not due, a round sends one format, and a recovery's rounds give way to what is new. Forward only; never edited after a
-- release.

ALTER TABLE channel
    ADD COLUMN revision          integer NOT NULL DEFAULT 1,     -- grows with each new URL and each enabling
    ADD COLUMN rounds_end_before timestamptz,                    -- when last disabled: open rounds begun before end; NULL: none left
    ADD COLUMN is_hurried        boolean NOT NULL DEFAULT false; -- has a new URL: what waits for its next attempt becomes due

ALTER TABLE delivery
    ADD COLUMN format    text,                            -- that its round sends, from its first attempt on
    ADD COLUMN received  boolean NOT NULL DEFAULT false,  -- its receiver has answered 2xx, in whatever round
    ADD COLUMN recovered boolean NOT NULL DEFAULT false;  -- its round is a recovery's: it gives way to what is new

-- What waits for another delivery is due when that has ended: until then at no time (`infinity`).
UPDATE delivery w
SET due_at = 'infinity'
FROM delivery b
WHERE w.waits_for IS NOT NULL
  AND w.due_at IS NOT NULL
  AND w.token IS NULL
  AND b.event_id = w.waits_for
  AND b.channel_id = w.channel_id
  AND b.due_at IS NOT NULL;

-- What is due, by channel: what is new, and what a recovery sends again.
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (channel_id, recovered, due_at, id) WHERE due_at IS NOT NULL;
-- Whose senders have died: the few that may have used up their schedule so.
CREATE INDEX delivery_interrupted ON delivery (due_at) WHERE interrupted > 0 AND due_at IS NOT NULL;

ALTER TABLE job
    ADD COLUMN since_event  text COLLATE "C",             -- recover: the lowest id of an event created since then
    ADD COLUMN until        timestamptz,                  -- recover: events created before; NULL: all since
    ADD COLUMN before_event text COLLATE "C";             -- recover: the lowest id that is not of those
