-- A template, by the format's name that has its hash: never changed.
SELECT tree::text AS tree
FROM template
WHERE format = @format
