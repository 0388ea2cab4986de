-- The documents of these invoices; one never written has no row.
SELECT i.namespace, i.id, i.version, i.state, i.as_of
FROM unnest(@namespaces::text[], @ids::text[]) AS wanted (namespace, id)
JOIN invoice i ON i.namespace = wanted.namespace AND i.id = wanted.id
