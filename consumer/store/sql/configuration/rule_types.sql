-- The types of the rules that send to a channel, but of those that are deleted.
SELECT DISTINCT r.type
FROM rule_channel rc
JOIN rule r ON r.id = rc.rule_id
WHERE rc.channel_id = @channel
  AND r.deleted_at IS NULL
