-- For the rest of this transaction: wait for no lock longer than *lock_timeout*, nor work longer than
-- *statement_timeout*.
-- Who waits for a lock on a table makes everybody behind wait too.
SELECT set_config('lock_timeout', @lock_timeout::text, true),
       set_config('statement_timeout', @statement_timeout::text, true)
