-- What a rule is before it is changed; its editor holds the catalog's row: one editor at a time.
SELECT spec::text AS spec, disabled, ignoring::text AS ignoring
FROM rule
WHERE id = @id
