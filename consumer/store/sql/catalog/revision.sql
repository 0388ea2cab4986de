-- The configuration's revision, the server that says it, and the clock that all replicas share.
SELECT revision, pg_postmaster_start_time() AS server, clock_timestamp() AS now
FROM catalog
