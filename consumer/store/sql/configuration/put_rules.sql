-- Make rules, or change all of them. After lock_rules.
INSERT INTO rule (id, namespace, key, type, name, spec, metadata, disabled, ignoring)
SELECT w.id, w.namespace, w.key, w.type, w.name, w.spec::json, w.metadata::json, w.disabled, w.ignoring::json
FROM unnest(@ids::text[], @namespaces::text[], @keys::text[], @types::text[], @names::text[], @specs::text[],
            @metadata::text[], @disabled::boolean[], @ignoring::text[])
     AS w (id, namespace, key, type, name, spec, metadata, disabled, ignoring)
ORDER BY w.id
ON CONFLICT (id) DO UPDATE
SET key = excluded.key,
    name = excluded.name,
    spec = excluded.spec,
    metadata = excluded.metadata,
    disabled = excluded.disabled,
    ignoring = excluded.ignoring,
    updated_at = clock_timestamp()
