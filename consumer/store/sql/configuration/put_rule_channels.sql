-- The channels of the rules *changed*, whole, in order. After put_rules, which holds the rules' rows.
WITH wanted AS MATERIALIZED (
    SELECT *
    FROM unnest(@rule_ids::text[], @channel_ids::text[], @positions::smallint[]) AS w (rule_id, channel_id, position)
),
gone AS (
    DELETE FROM rule_channel rc
    WHERE rc.rule_id = ANY (@changed::text[])
      AND ((rc.rule_id, rc.channel_id) IN (SELECT rule_id, channel_id FROM wanted)) IS NOT TRUE
)
INSERT INTO rule_channel AS rc (rule_id, channel_id, position)
SELECT w.rule_id, w.channel_id, w.position
FROM wanted w
ON CONFLICT (rule_id, channel_id) DO UPDATE
SET position = excluded.position
WHERE rc.position <> excluded.position
