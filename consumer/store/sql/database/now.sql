-- The clock that all replicas share.
SELECT clock_timestamp() AS now
