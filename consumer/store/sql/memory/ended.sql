-- Lock documents whose period has ended by the clock, as last written: shown before its end, or one in which a
-- threshold has fired; of an entitlement that lives on; *delay* ago or longer, as also the last firing is: so in a
-- backlog the clock does not come between a period's thresholds. But for those set aside. Locked until the end of the
-- transaction; what another replica has is left to it. Nothing is read but the keys: where a row cannot be read, it
-- must be known which one it is. retention/remove_entitlements.sql removes the others.
SELECT e.namespace, e.id, e.version
FROM entitlement e
WHERE NOT e.ended
  AND e.deleted_at IS NULL
  AND (e.shown_at < e.period_to OR e.fired_at IS NOT NULL)
  AND (e.active_to IS NULL OR e.active_to > e.period_to)
  -- Stable, unlike clock_timestamp(): an index ends there, not at the last live one.
  AND e.period_to <= statement_timestamp() - @delay::interval
  AND (e.fired_at IS NULL OR e.fired_at <= statement_timestamp() - @delay::interval)
  AND (e.namespace, e.id, e.version) NOT IN (
      SELECT * FROM unnest(@but_namespaces::text[], @but_ids::text[], @but_versions::bigint[]))
ORDER BY e.period_to
LIMIT @limit::int
FOR UPDATE SKIP LOCKED
