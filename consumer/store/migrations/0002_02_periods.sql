-- What records say of an entitlement's period: which one is the newest, and which start counts.
--
-- Of rows that an older release wrote: no begins_at, the start counts that is shown; no known_at, then as_of or
-- deleted_at stands for it where they are read; no newest_at, then no anchor is believed to have moved back; no fired_at:
-- the clock ends what was shown before its end, as it did.
ALTER TABLE entitlement
    ALTER COLUMN period_to DROP NOT NULL,                 -- NULL: it never ends
    ADD COLUMN begins_at timestamptz,                     -- the start that counts, where that is not period_from
    ADD COLUMN known_at  timestamptz,                     -- the newest record of the period that wrote the row
    ADD COLUMN newest_at timestamptz,                     -- the newest record of the entitlement that wrote it
    ADD COLUMN fired_at  timestamptz;                     -- when a threshold last fired in the period, by this clock

-- What the clock has to end: a period that was shown before its end, or in which a threshold has fired, of an entitlement
-- that lives on.
DROP INDEX entitlement_ends;
CREATE INDEX entitlement_ends ON entitlement (period_to)
WHERE NOT ended
  AND deleted_at IS NULL
  AND (shown_at < period_to OR fired_at IS NOT NULL)
  AND (active_to IS NULL OR active_to > period_to);
-- What may go a retention after its period's end: the rest. One that never ends counts from its deletion, else from
-- active_to, else it stays for ever: of such it is the part that has either. A row enters when it is over, so the hot
-- path never pays.
DROP INDEX entitlement_over;
CREATE INDEX entitlement_over ON entitlement ((coalesce(period_to, deleted_at, active_to)))
WHERE (ended OR deleted_at IS NOT NULL OR (shown_at >= period_to AND fired_at IS NULL) OR active_to <= period_to
       OR (period_to IS NULL AND active_to IS NOT NULL));
