-- Customers with one of these thresholds of a rule reached now, by feature; none twice. The clock has not ended
-- their period. Most entitlements have no marks: that is looked at first. Of *features*, by id or key, alone, where
-- that is not NULL: of others, which the rule has named once, no record is judged any more.
SELECT DISTINCT
       coalesce(e.feature_key, e.about #>> '{feature,key}') AS feature,
       coalesce(nullif(e.about #>> '{customer,key}', ''), nullif(e.about #>> '{subject,key}', ''),
                nullif(e.about #>> '{customer,id}', ''), e.id) AS customer
FROM entitlement e
WHERE e.namespace = @namespace
  AND e.marks::text <> '{}'
  AND NOT e.ended
  AND (@features::text[] IS NULL
       OR coalesce(e.feature_key, e.about #>> '{feature,key}') = ANY (@features::text[])
       OR coalesce(e.feature_id, e.about #>> '{feature,id}') = ANY (@features::text[]))
  AND EXISTS (
      SELECT FROM unnest(@thresholds::text[]) AS wanted (identity)
      WHERE e.marks -> @rule_id::text -> wanted.identity ->> 'state' = 'fired'
  )
LIMIT @limit
