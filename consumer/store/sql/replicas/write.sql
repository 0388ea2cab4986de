-- Write that a process is there, and how far it is: its one row.
INSERT INTO replica (id, host, pid, version, roles, failing, partitions, records, dead_letters)
VALUES (@id, @host, @pid::int, @version, @roles::text[], @failing::jsonb, @partitions::jsonb, @records::bigint,
        @dead_letters::jsonb)
ON CONFLICT (id) DO UPDATE
SET roles = excluded.roles,
    failing = excluded.failing,
    partitions = excluded.partitions,
    records = excluded.records,
    dead_letters = excluded.dead_letters,
    seen_at = clock_timestamp()
