-- A rule's channels, whole, in order. After put_rule, which holds the rule's row.
WITH wanted AS (
    SELECT * FROM unnest(@channels::text[]) WITH ORDINALITY AS w (channel_id, position)
),
gone AS (
    DELETE FROM rule_channel rc
    WHERE rc.rule_id = @rule_id
      AND rc.channel_id NOT IN (SELECT channel_id FROM wanted)
)
INSERT INTO rule_channel (rule_id, channel_id, position)
SELECT @rule_id, w.channel_id, w.position
FROM wanted w
ON CONFLICT (rule_id, channel_id) DO UPDATE
SET position = excluded.position
