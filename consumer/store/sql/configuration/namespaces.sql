-- The namespaces that have a channel.
SELECT DISTINCT namespace
FROM channel
WHERE deleted_at IS NULL
ORDER BY namespace
