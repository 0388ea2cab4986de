-- For how long records may be read again: of how many topics that is known, of how many for ever, and the longest.
SELECT count(*)::int AS known,
       count(*) FILTER (WHERE kept_for IS NULL)::int AS for_ever,
       max(kept_for) AS longest
FROM topic_retention
