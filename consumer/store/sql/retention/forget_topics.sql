-- Forget topics that no process has asked about since *over_by*: they are not read any more.
DELETE FROM topic_retention
WHERE asked_at <= @over_by::timestamptz
RETURNING topic
