-- A page of a namespace's events, or how many there are on it (*only_count*: a page as long as is counted), found by
-- the indexes of `event`. Run with a plan of its own (force_custom_plan): what is not asked for is then not there, and
-- one of the two directions neither. They stand here one after the other, as no index is read by `ORDER BY` of a CASE.
-- A value asked for alone comes as such: only then is its index in order. Where several are asked for, one after the
-- other is looked for (*each*, values of the column *each_of*): *top* of each, of which the page is among the first. A
-- customer's id and key have an index each; who has the same for both is found by both.
WITH hit AS NOT MATERIALIZED (
    SELECT e.id, e.customer_id, e.customer_key,
           CASE @each_of::text
               WHEN 'rule' THEN e.rule_id
               WHEN 'type' THEN e.type
               WHEN 'subject' THEN e.subject_key
               WHEN 'feature' THEN e.feature_key
           END AS each
    FROM event e
    WHERE e.namespace = @namespace
      AND (@rule::text IS NULL OR e.rule_id = @rule)
      AND (@rules::text[] IS NULL OR e.rule_id = ANY (@rules::text[]))
      AND (@type::text IS NULL OR e.type = @type)
      AND (@types::text[] IS NULL OR e.type = ANY (@types::text[]))
      AND (@subject::text IS NULL OR e.subject_key = @subject)
      AND (@subjects::text[] IS NULL OR e.subject_key = ANY (@subjects::text[]))
      AND (@feature::text IS NULL OR e.feature_key = @feature)
      AND (@features::text[] IS NULL OR e.feature_key = ANY (@features::text[]))
      AND (@from_id::text IS NULL OR e.id >= @from_id)
      AND (@to_id::text IS NULL OR e.id < @to_id)
),
page AS MATERIALIZED (
    SELECT ARRAY(
        (SELECT DISTINCT o.id
         FROM unnest(@each::text[]) AS v (value)
         CROSS JOIN LATERAL (
             (SELECT h.id
              FROM hit h
              WHERE (@each_of::text IS NULL OR h.each = v.value)
                AND (@customer::text IS NULL OR h.customer_id = @customer)
              ORDER BY h.id
              LIMIT @top::bigint)
             UNION ALL
             (SELECT h.id
              FROM hit h
              WHERE (@each_of::text IS NULL OR h.each = v.value)
                AND h.customer_key = @customer
              ORDER BY h.id
              LIMIT @top::bigint)) o
         WHERE NOT @descending::boolean
         ORDER BY o.id
         LIMIT @limit::bigint OFFSET @offset::bigint)
        UNION ALL
        (SELECT DISTINCT o.id
         FROM unnest(@each::text[]) AS v (value)
         CROSS JOIN LATERAL (
             (SELECT h.id
              FROM hit h
              WHERE (@each_of::text IS NULL OR h.each = v.value)
                AND (@customer::text IS NULL OR h.customer_id = @customer)
              ORDER BY h.id DESC
              LIMIT @top::bigint)
             UNION ALL
             (SELECT h.id
              FROM hit h
              WHERE (@each_of::text IS NULL OR h.each = v.value)
                AND h.customer_key = @customer
              ORDER BY h.id DESC
              LIMIT @top::bigint)) o
         WHERE @descending::boolean
         ORDER BY o.id DESC
         LIMIT @limit::bigint OFFSET @offset::bigint)) AS ids
)
SELECT CASE WHEN NOT @only_count::boolean THEN ids END AS ids, cardinality(ids) AS total
FROM page
