-- All of a topic's partitions at once: of two replicas one wins whole. An offset once remembered stays.
INSERT INTO start_offset AS s (group_id, topic, partition, "offset", committed)
SELECT @group_id, @topic, u.partition, u."offset", u.committed
FROM unnest(@partitions::int[], @offsets::bigint[], @committed::boolean[]) AS u (partition, "offset", committed)
ORDER BY u.partition
ON CONFLICT (group_id, topic, partition) DO UPDATE
SET committed = s.committed OR excluded.committed
