-- Ask that each delivery be sent again that has ended in one of *states* and fits the filter, of a channel that is
-- there and enabled: up to *most* of them, and only where they are as many as *expected* (NULL: however many). What is
-- found is what is sent, whatever ends later. While *most_open* of the namespace are not done, nothing is asked: each
-- names its deliveries.
-- Returns one row: the job's id, or NULL where nothing was asked, how many there are, counted up to one more than
-- *most*, and how many are not done. Run with a plan of its own: what is not asked for is then not there.
-- The deliverers are notified when it commits; people ask seldom.
WITH found AS MATERIALIZED (
    SELECT d.id, d.event_id
    FROM delivery d
    JOIN event e ON e.id = d.event_id
    JOIN channel c ON c.id = d.channel_id
    WHERE d.namespace = @namespace
      AND d.due_at IS NULL
      AND d.state = ANY (@states::text[])
      AND (@channels::text[] IS NULL OR d.channel_id = ANY (@channels::text[]))
      AND (@from_id::text IS NULL OR d.event_id >= @from_id)
      AND (@to_id::text IS NULL OR d.event_id < @to_id)
      AND (@rules::text[] IS NULL OR e.rule_id = ANY (@rules::text[]))
      AND (@types::text[] IS NULL OR e.type = ANY (@types::text[]))
      AND (@subjects::text[] IS NULL OR e.subject_key = ANY (@subjects::text[]))
      AND (@features::text[] IS NULL OR e.feature_key = ANY (@features::text[]))
      AND (@customer::text IS NULL OR e.customer_id = @customer OR e.customer_key = @customer)
      AND c.deleted_at IS NULL
      AND c.disabled_by IS NULL
    LIMIT @most::int + 1
),
counted AS MATERIALIZED (
    SELECT count(*)::int AS total
    FROM found
),
undone AS MATERIALIZED (
    SELECT count(*)::int AS jobs
    FROM job j
    WHERE j.ended_at IS NULL
      AND j.namespace = @namespace
      AND j.kind = 'resend_many'
),
asked AS (
    INSERT INTO job (id, namespace, kind, filter, total)
    SELECT @id, @namespace, 'resend_many', @filter::jsonb, t.total
    FROM counted t
    CROSS JOIN undone u
    WHERE t.total BETWEEN 1 AND @most::int
      AND u.jobs < @most_open::int
      AND (@expected::int IS NULL OR t.total = @expected::int)
    RETURNING id
),
named AS (
    INSERT INTO job_delivery (job_id, n, delivery_id)
    SELECT a.id, row_number() OVER (ORDER BY f.event_id, f.id), f.id
    FROM asked a
    CROSS JOIN found f
)
SELECT (SELECT id FROM asked) AS id,
       (SELECT total FROM counted) AS total,
       (SELECT jobs FROM undone) AS undone,
       (SELECT pg_notify('tollbell_jobs', '')::text FROM asked) AS notified
