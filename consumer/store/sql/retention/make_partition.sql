-- Give a table a partition, and move there what waits for it in the default one. Does nothing where it exists.
SELECT result, moved
FROM make_partition(@parent::text, @suffix::text, @from_id::text, @to_id::text, @most::integer, @only_for_rows::boolean)
