-- Keys of features that records have shown, some of very many: to say what a misspelt one may have meant.
SELECT f.key
FROM feature f
WHERE f.namespace = @namespace
ORDER BY f.id
LIMIT 1000
