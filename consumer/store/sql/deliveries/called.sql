-- What a channel is called.
SELECT c.key, c.name
FROM channel c
WHERE c.id = @channel
