-- A page of a namespace's events and how many there are on all pages, counted up to *most*, found by the indexes of
-- `event`. Run with a plan of its own (force_custom_plan): what is not asked for is then not there, and one of the two
-- directions neither. A limit of none, or of none counted, costs nothing. A value asked for alone comes as such, not as
-- an array of one: only then is the index in order.
WITH hit AS NOT MATERIALIZED (
    SELECT e.id
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
      AND (@customer::text IS NULL OR e.customer_id = @customer OR e.customer_key = @customer)
      AND (@from_id::text IS NULL OR e.id >= @from_id)
      AND (@to_id::text IS NULL OR e.id < @to_id)
      AND (@states::text[] IS NULL AND @channels::text[] IS NULL OR EXISTS (
              SELECT
              FROM delivery d
              WHERE d.event_id = e.id
                AND (@states::text[] IS NULL OR d.state = ANY (@states::text[]))
                AND (@channels::text[] IS NULL OR d.channel_id = ANY (@channels::text[]))))
)
SELECT ARRAY(
    (SELECT h.id FROM hit h WHERE NOT @descending::boolean ORDER BY h.id LIMIT @limit::bigint OFFSET @offset::bigint)
    UNION ALL
    (SELECT h.id FROM hit h WHERE @descending::boolean ORDER BY h.id DESC LIMIT @limit::bigint OFFSET @offset::bigint)) AS ids,
       (SELECT count(*)::int FROM (SELECT FROM hit LIMIT @most::int) c) AS total
