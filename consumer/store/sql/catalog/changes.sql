-- The rules that have changed since a revision, as they are now, and the revision that they belong to: one statement,
-- so one snapshot. One row of NULLs where there is none. Its cost grows with the changes, not with the rules.
SELECT c.revision, pg_postmaster_start_time() AS server, r.id, r.namespace, r.key, r.name, r.spec::text AS spec,
       r.ignoring::text AS ignoring, NOT r.disabled AND r.deleted_at IS NULL AS is_enabled,
       (SELECT array_agg(rc.channel_id ORDER BY rc.position) FROM rule_channel rc WHERE rc.rule_id = r.id) AS channels
FROM catalog c
LEFT JOIN rule r ON r.revision > @since
ORDER BY r.id
