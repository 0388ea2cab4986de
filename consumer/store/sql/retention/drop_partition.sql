-- Drop a table's partition, unless an open delivery refers to one of its events. Does nothing where it is gone.
SELECT drop_partition(@parent::text, @suffix::text, @from_id::text, @to_id::text) AS result
