-- Which features the enabled rules of a namespace are about, by id or key; *every*: all of them.
SELECT coalesce(bool_or(f.name IS NULL), false) AS every,
       coalesce(array_agg(DISTINCT f.name) FILTER (WHERE f.name IS NOT NULL), '{}') AS names
FROM rule r
LEFT JOIN LATERAL json_array_elements_text(
    CASE WHEN json_typeof(r.spec -> 'features') = 'array' THEN r.spec -> 'features' ELSE '[]' END) AS f (name) ON true
WHERE r.namespace = @namespace
  AND r.type IN ('entitlements.balance.threshold', 'entitlements.reset')
  AND NOT r.disabled
  AND r.deleted_at IS NULL
