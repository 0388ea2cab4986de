-- How many rules there are on all pages. Of the table itself: the view would gather the channels of each.
SELECT count(*)::int AS total
FROM rule r
WHERE r.namespace = @namespace
  AND (@with_deleted::boolean OR r.deleted_at IS NULL)
  AND (@with_disabled::boolean OR NOT r.disabled)
  AND (@features::text[] IS NULL OR r.spec::jsonb -> 'features' ?| @features::text[])
  AND (@channels::text[] IS NULL
       OR r.id IN (SELECT rc.rule_id FROM rule_channel rc WHERE rc.channel_id = ANY (@channels::text[])))
