-- The clock that all replicas share, and whether this server takes writes: a demoted primary keeps its sessions.
SELECT clock_timestamp() AS now, current_setting('transaction_read_only')::boolean AS is_read_only
