-- Make a rule, or change all of it. Waits for the batches that hold it shared: after this transaction no record makes an
-- event of a rule that was disabled in it.
INSERT INTO rule (id, namespace, key, type, name, spec, metadata, disabled, ignoring)
VALUES (@id, @namespace, @key, @type, @name, @spec::text::json, @metadata::text::json, @disabled, @ignoring::text::json)
ON CONFLICT (id) DO UPDATE
SET key = excluded.key,
    name = excluded.name,
    spec = excluded.spec,
    metadata = excluded.metadata,
    disabled = excluded.disabled,
    ignoring = excluded.ignoring,
    updated_at = clock_timestamp()
