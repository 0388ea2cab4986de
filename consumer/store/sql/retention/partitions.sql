-- The partitions of these tables, oldest first, but for the default ones.
SELECT p.relname::text AS parent, right(c.relname, 8) AS suffix
FROM unnest(@parents::text[]) AS wanted (parent)
JOIN pg_class p ON p.oid = to_regclass(wanted.parent)
JOIN pg_inherits i ON i.inhparent = p.oid
JOIN pg_class c ON c.oid = i.inhrelid
WHERE c.relname ~ '_[0-9]{8}$'
ORDER BY 2, 1
