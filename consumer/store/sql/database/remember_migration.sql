-- In the transaction of the migration itself.
INSERT INTO schema_migration (name, release, checksum)
VALUES (@name, @release, @checksum)
