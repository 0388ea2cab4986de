-- The same, found by the indexes of `delivery`: of those who really got it, or of how it stands. What has ended is
-- found channel by channel and state by state, each in the order of its index: *top* events of each, of which the page
-- is among the first. What is open has no such index, since it changes with every attempt: all of it is looked through,
-- or all of these channels'. What there cannot be is not looked for. A channel of another namespace has none.
WITH lane AS MATERIALIZED (
    SELECT c.id
    FROM channel c
    WHERE c.id = ANY (@channels::text[])
      AND c.namespace = @namespace
    UNION ALL
    SELECT ''
    WHERE @channels::text[] IS NULL
),
hit AS NOT MATERIALIZED (
    SELECT d.event_id AS id, d.namespace, d.channel_id, d.state, d.due_at IS NOT NULL AS is_open
    FROM delivery d
    LEFT JOIN event e ON e.id = d.event_id
    WHERE (@channels::text[] IS NOT NULL OR d.namespace = @namespace)
      AND (@from_id::text IS NULL OR d.event_id >= @from_id)
      AND (@to_id::text IS NULL OR d.event_id < @to_id)
      AND (@rules::text[] IS NULL OR e.rule_id = ANY (@rules::text[]))
      AND (@types::text[] IS NULL OR e.type = ANY (@types::text[]))
      AND (@subjects::text[] IS NULL OR e.subject_key = ANY (@subjects::text[]))
      AND (@features::text[] IS NULL OR e.feature_key = ANY (@features::text[]))
      AND (@customer::text IS NULL OR e.customer_id = @customer OR e.customer_key = @customer)
),
page AS MATERIALIZED (
    SELECT ARRAY(
        (SELECT DISTINCT a.id
         FROM (
             SELECT o.id
             FROM lane l
             CROSS JOIN unnest(@ended::text[]) AS s (state)
             CROSS JOIN LATERAL (
                 SELECT DISTINCT h.id
                 FROM hit h
                 WHERE NOT h.is_open
                   AND h.state = s.state
                   AND (@channels::text[] IS NULL OR h.channel_id = l.id)
                 ORDER BY h.id
                 LIMIT @top::bigint) o
             UNION ALL
             (SELECT DISTINCT h.id
              FROM hit h
              WHERE @with_open::boolean
                AND h.is_open
                AND h.state = ANY (@open::text[])
                AND h.namespace = @namespace
                AND (@channels::text[] IS NULL OR h.channel_id = ANY (@channels::text[]))
              ORDER BY h.id
              LIMIT @top::bigint)) a
         WHERE NOT @descending::boolean
         ORDER BY a.id
         LIMIT @limit::bigint OFFSET @offset::bigint)
        UNION ALL
        (SELECT DISTINCT a.id
         FROM (
             SELECT o.id
             FROM lane l
             CROSS JOIN unnest(@ended::text[]) AS s (state)
             CROSS JOIN LATERAL (
                 SELECT DISTINCT h.id
                 FROM hit h
                 WHERE NOT h.is_open
                   AND h.state = s.state
                   AND (@channels::text[] IS NULL OR h.channel_id = l.id)
                 ORDER BY h.id DESC
                 LIMIT @top::bigint) o
             UNION ALL
             (SELECT DISTINCT h.id
              FROM hit h
              WHERE @with_open::boolean
                AND h.is_open
                AND h.state = ANY (@open::text[])
                AND h.namespace = @namespace
                AND (@channels::text[] IS NULL OR h.channel_id = ANY (@channels::text[]))
              ORDER BY h.id DESC
              LIMIT @top::bigint)) a
         WHERE @descending::boolean
         ORDER BY a.id DESC
         LIMIT @limit::bigint OFFSET @offset::bigint)) AS ids
)
SELECT CASE WHEN NOT @only_count::boolean THEN ids END AS ids, cardinality(ids) AS total
FROM page
