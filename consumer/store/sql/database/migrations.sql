-- What was applied.
SELECT name, release, checksum
FROM schema_migration
ORDER BY name
