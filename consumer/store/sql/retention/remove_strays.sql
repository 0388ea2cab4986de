-- Remove events that a wrong clock has put into the default partition, with all that belongs to them, once they are
-- over.
SELECT remove_strays(@parents::text[], @over_by::timestamptz, @limit::int) AS removed
