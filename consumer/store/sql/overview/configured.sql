-- How many channels and rules a namespace has, and how many of these are disabled; deleted ones do not count. Each
-- table is read once.
SELECT c.channels, c.channels_disabled, r.rules, r.rules_disabled
FROM (
    SELECT count(*)::int AS channels, count(*) FILTER (WHERE o.disabled_by IS NOT NULL)::int AS channels_disabled
    FROM channel o
    WHERE o.namespace = @namespace
      AND o.deleted_at IS NULL) c
CROSS JOIN (
    SELECT count(*)::int AS rules, count(*) FILTER (WHERE o.disabled)::int AS rules_disabled
    FROM rule o
    WHERE o.namespace = @namespace
      AND o.deleted_at IS NULL) r
