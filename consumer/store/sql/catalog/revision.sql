-- The configuration's revision, and the clock that all replicas share.
SELECT revision, clock_timestamp() AS now
FROM catalog
