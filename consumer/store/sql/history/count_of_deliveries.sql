-- How many events `page_of_deliveries` has on all pages; of at most *most* deliveries, run likewise.
SELECT count(DISTINCT s.event_id)::int AS total
FROM (
    SELECT d.event_id
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
      AND (@with_open::boolean OR d.due_at IS NULL)
      AND (@with_ended::boolean OR d.due_at IS NOT NULL)
    LIMIT @most::int) s
