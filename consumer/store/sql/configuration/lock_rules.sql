-- What rules are before they are changed; those of *ids* that are not there yet are left out. Locks them, and waits for
-- the batches that hold them shared: after this transaction no record makes an event of a rule that was disabled in it.
-- Lock order: rules by id, as the batches lock them; the editor holds the catalog's row: one editor at a time.
SELECT id, spec::text AS spec, disabled, ignoring::text AS ignoring
FROM rule
WHERE id = ANY (@ids::text[])
ORDER BY id
FOR NO KEY UPDATE
