-- Take documents whose period has ended by the clock, as last written: shown before its end, of an entitlement that
-- lives on, *delay* ago or longer. Locked until the end of the transaction; what another replica has is left to it.
SELECT e.namespace, e.id, e.version, e.period_from, e.period_to, e.ended, e.as_of, e.deleted_at, e.active_to,
       e.marks::text AS marks, e.resets::text AS resets, e.sights::text AS sights, e.about::text AS about
FROM entitlement e
WHERE NOT e.ended
  AND e.deleted_at IS NULL
  AND e.shown_at < e.period_to
  AND (e.active_to IS NULL OR e.active_to > e.period_to)
  AND e.period_to <= statement_timestamp() - @delay::interval    -- stable: an index ends there, not at the last live one
ORDER BY e.period_to
LIMIT @limit::int
FOR UPDATE SKIP LOCKED
