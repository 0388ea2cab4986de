-- What is open, what is due, and for how long. Counts stop at a million: beyond it the exact number helps nobody.
WITH open AS (
    SELECT state, due_at, token
    FROM delivery
    WHERE due_at IS NOT NULL
    LIMIT 1000000
)
SELECT count(*) FILTER (WHERE state = 'PENDING')::int AS pending,
       count(*) FILTER (WHERE state = 'SENDING')::int AS sending,
       count(*) FILTER (WHERE state = 'RESENDING')::int AS resending,
       count(*) FILTER (WHERE due_at <= clock_timestamp())::int AS due,
       coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS oldest_seconds,
       (SELECT count(*) FROM channel WHERE deleted_at IS NULL AND disabled_by IS NULL)::int AS enabled,
       (SELECT count(*) FROM channel WHERE deleted_at IS NULL AND disabled_by = 'person')::int AS disabled_by_person,
       (SELECT count(*) FROM channel WHERE deleted_at IS NULL AND disabled_by = 'tollbell')::int AS disabled_by_tollbell
FROM open
