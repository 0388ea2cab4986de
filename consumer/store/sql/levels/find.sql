-- Find entitlements that a rule is about: the highest level first, those of no known one last; from behind
-- (*below_level*, *below_id*) on. None that is over by now: its last level would stay above all others. With *at_least*
-- only those whose level is known now: their period is the current one. Counted instead of named for *only_count*. One
-- of these lists is read, in the order of its own index; of a customer two, by id and by key. Each says all of it
-- itself: of a union that is sorted as a whole no list would be read in its order, but all of it. Run with a plan of
-- its own: what is not asked for is then not there.
SELECT count(*)::int AS total,
       CASE WHEN NOT @only_count::boolean THEN coalesce(array_agg(f.id ORDER BY f.level DESC, f.id DESC), '{}')
       END AS ids
FROM (
    SELECT l.id, l.level
    FROM (
       (SELECT e.id, coalesce(e.level, -1) AS level
        FROM entitlement e
        WHERE @customer::text IS NULL
          AND (@feature::text IS NULL OR (hashtextextended(e.feature_key, 0) = hashtextextended(@feature::text, 0)
                                          AND e.feature_key = @feature::text))
          AND e.namespace = @namespace
          AND e.deleted_at IS NULL
          AND coalesce(e.active_to, 'infinity') > statement_timestamp()
          AND coalesce(e.level, -1) >= @at_least::int
          AND (coalesce(e.level, -1), e.id) < (@below_level::int, @below_id::text)
          AND (@every::boolean OR e.feature_key = ANY (@names::text[]) OR e.feature_id = ANY (@names::text[]))
          AND (@at_least::int < 0 OR (e.level_at >= coalesce(e.begins_at, e.period_from)
                                      AND coalesce(e.period_to, 'infinity') > statement_timestamp()))
        ORDER BY coalesce(e.level, -1) DESC, e.id DESC
        LIMIT @limit::int)
        UNION ALL
       (SELECT e.id, coalesce(e.level, -1) AS level
        FROM entitlement e
        WHERE hashtextextended(e.about #>> '{customer,id}', 0) = hashtextextended(@customer::text, 0)
          AND e.about #>> '{customer,id}' = @customer::text
          AND (@feature::text IS NULL OR e.feature_key = @feature::text)
          AND e.namespace = @namespace
          AND e.deleted_at IS NULL
          AND coalesce(e.active_to, 'infinity') > statement_timestamp()
          AND coalesce(e.level, -1) >= @at_least::int
          AND (coalesce(e.level, -1), e.id) < (@below_level::int, @below_id::text)
          AND (@every::boolean OR e.feature_key = ANY (@names::text[]) OR e.feature_id = ANY (@names::text[]))
          AND (@at_least::int < 0 OR (e.level_at >= coalesce(e.begins_at, e.period_from)
                                      AND coalesce(e.period_to, 'infinity') > statement_timestamp()))
        ORDER BY coalesce(e.level, -1) DESC, e.id DESC
        LIMIT @limit::int)
        UNION ALL
       (SELECT e.id, coalesce(e.level, -1) AS level
        FROM entitlement e
        WHERE hashtextextended(e.about #>> '{customer,key}', 0) = hashtextextended(@customer::text, 0)
          AND e.about #>> '{customer,key}' = @customer::text
          AND e.about #>> '{customer,id}' IS DISTINCT FROM @customer::text
          AND (@feature::text IS NULL OR e.feature_key = @feature::text)
          AND e.namespace = @namespace
          AND e.deleted_at IS NULL
          AND coalesce(e.active_to, 'infinity') > statement_timestamp()
          AND coalesce(e.level, -1) >= @at_least::int
          AND (coalesce(e.level, -1), e.id) < (@below_level::int, @below_id::text)
          AND (@every::boolean OR e.feature_key = ANY (@names::text[]) OR e.feature_id = ANY (@names::text[]))
          AND (@at_least::int < 0 OR (e.level_at >= coalesce(e.begins_at, e.period_from)
                                      AND coalesce(e.period_to, 'infinity') > statement_timestamp()))
        ORDER BY coalesce(e.level, -1) DESC, e.id DESC
        LIMIT @limit::int)
    ) l
    ORDER BY l.level DESC, l.id DESC
    LIMIT @limit::int) f
