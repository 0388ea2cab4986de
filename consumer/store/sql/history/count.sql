-- How many events there are on all pages, counted up to *most*. As `page`, and run likewise.
SELECT count(*)::int AS total
FROM (
    SELECT
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
    LIMIT @most::int) s
