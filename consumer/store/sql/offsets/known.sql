-- What is remembered of a topic's partitions.
SELECT partition, "offset", committed
FROM start_offset
WHERE group_id = @group_id
  AND topic = @topic
ORDER BY partition
