-- The same, found by the indexes of `delivery`: of those who really got it, or of how it ended. Ended deliveries and open
-- ones have an index each; both are read in order, so a page costs what it shows. What there cannot be is not looked
-- for. An event of several such deliveries is one: *top* events of each, of which the page is among the first. Counted
-- are *most* deliveries.
WITH hit AS NOT MATERIALIZED (
    SELECT d.event_id AS id, d.due_at IS NOT NULL AS is_open
    FROM delivery d
    WHERE d.namespace = @namespace
      AND (@channel::text IS NULL OR d.channel_id = @channel)
      AND (@channels::text[] IS NULL OR d.channel_id = ANY (@channels::text[]))
      AND (@state::text IS NULL OR d.state = @state)
      AND (@from_id::text IS NULL OR d.event_id >= @from_id)
      AND (@to_id::text IS NULL OR d.event_id < @to_id)
      AND (NOT @is_narrowed::boolean OR EXISTS (
              SELECT
              FROM event e
              WHERE e.id = d.event_id
                AND (@rules::text[] IS NULL OR e.rule_id = ANY (@rules::text[]))
                AND (@types::text[] IS NULL OR e.type = ANY (@types::text[]))
                AND (@subjects::text[] IS NULL OR e.subject_key = ANY (@subjects::text[]))
                AND (@features::text[] IS NULL OR e.feature_key = ANY (@features::text[]))
                AND (@customer::text IS NULL OR e.customer_id = @customer OR e.customer_key = @customer)))
)
SELECT ARRAY(
    (SELECT DISTINCT h.id
     FROM hit h
     WHERE NOT @descending::boolean AND @with_ended::boolean AND NOT h.is_open
     ORDER BY h.id
     LIMIT @top::bigint)
    UNION ALL
    (SELECT DISTINCT h.id
     FROM hit h
     WHERE NOT @descending::boolean AND @with_open::boolean AND h.is_open
     ORDER BY h.id
     LIMIT @top::bigint)
    UNION ALL
    (SELECT DISTINCT h.id
     FROM hit h
     WHERE @descending::boolean AND @with_ended::boolean AND NOT h.is_open
     ORDER BY h.id DESC
     LIMIT @top::bigint)
    UNION ALL
    (SELECT DISTINCT h.id
     FROM hit h
     WHERE @descending::boolean AND @with_open::boolean AND h.is_open
     ORDER BY h.id DESC
     LIMIT @top::bigint)) AS ids,
       (SELECT count(DISTINCT c.id)::int
        FROM (
            SELECT h.id
            FROM hit h
            WHERE (@with_open::boolean OR NOT h.is_open)
              AND (@with_ended::boolean OR h.is_open)
            LIMIT @most::int) c) AS total
