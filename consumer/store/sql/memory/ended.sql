-- Take documents whose period has ended by the clock, as last written: shown before its end, or one in which a threshold
-- has fired; of an entitlement that lives on; *delay* ago or longer, as also the last firing is: so in a backlog the clock
-- does not come between a period's thresholds. Locked until the end of the transaction; what another replica has is left
-- to it. retention/remove_entitlements.sql removes the others.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.begins_at, e.ended,
       coalesce(e.known_at, greatest(e.as_of, e.deleted_at)) AS known_at, e.newest_at, e.as_of, e.deleted_at, e.active_to,
       e.marks::text AS marks, e.resets::text AS resets, e.sights::text AS sights, e.about::text AS about
FROM entitlement e
WHERE NOT e.ended
  AND e.deleted_at IS NULL
  AND (e.shown_at < e.period_to OR e.fired_at IS NOT NULL)
  AND (e.active_to IS NULL OR e.active_to > e.period_to)
  AND e.period_to <= statement_timestamp() - @delay::interval    -- stable: an index ends there, not at the last live one
  AND (e.fired_at IS NULL OR e.fired_at <= statement_timestamp() - @delay::interval)
ORDER BY e.period_to
LIMIT @limit::int
FOR UPDATE SKIP LOCKED
