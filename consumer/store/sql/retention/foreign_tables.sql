-- Which of these tables this user may not change: it is neither their owner nor a member of that role.
SELECT c.relname::text AS name, c.relowner::regrole::text AS owner
FROM unnest(@parents::text[]) AS wanted (parent)
JOIN pg_class c ON c.oid = to_regclass(wanted.parent)
WHERE NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname
