-- Customers with one of these thresholds of a rule reached now, by feature; none twice. The clock has not ended
-- their period. Most entitlements have no marks: that is looked at first.
SELECT DISTINCT
       coalesce(e.feature_key, e.about #>> '{feature,key}') AS feature,
       coalesce(nullif(e.about #>> '{customer,key}', ''), nullif(e.about #>> '{subject,key}', ''),
                nullif(e.about #>> '{customer,id}', ''), e.id) AS customer
FROM entitlement e
WHERE e.namespace = @namespace
  AND e.marks::text <> '{}'
  AND NOT e.ended
  AND EXISTS (
      SELECT FROM unnest(@thresholds::text[]) AS wanted (identity)
      WHERE e.marks -> @rule_id::text -> wanted.identity ->> 'state' = 'fired'
  )
LIMIT @limit
