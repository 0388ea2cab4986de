-- Remember for how long each of these topics keeps its records: all at once, so that no topic is missing among them.
-- Lock order: topics by name.
INSERT INTO topic_retention AS t (topic, kept_for)
SELECT u.topic, u.kept_for
FROM unnest(@topics::text[], @kept_for::interval[]) AS u (topic, kept_for)
ORDER BY u.topic
ON CONFLICT (topic) DO UPDATE
SET kept_for = excluded.kept_for,
    asked_at = excluded.asked_at
