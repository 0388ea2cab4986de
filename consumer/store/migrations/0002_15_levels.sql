-- How much of its allowance an entitlement has used in its period, coarse: for people, never judged on.
--
-- Of rows that an older release wrote it is not known until the next record. Forward only; never edited after a release.
ALTER TABLE entitlement
    ADD COLUMN level    smallint,                         -- per cent, a multiple of ten; NULL: not known, or no allowance
    ADD COLUMN level_at timestamptz,                      -- calculatedAt of the record that changed it
    ADD CONSTRAINT entitlement_level_is_coarse CHECK (level BETWEEN 0 AND 1000 AND level % 10 = 0),
    ADD CONSTRAINT entitlement_level_has_a_time CHECK (level IS NULL OR level_at IS NOT NULL);

-- Lists by level, highest first, those not known last: all, and those of one feature or customer. The names' hashes, since
-- two names and an id together may be longer than an index takes; and no writer has to fill columns of a customer's.
CREATE INDEX entitlement_by_level ON entitlement (namespace, (coalesce(level, -1)), id)
WHERE deleted_at IS NULL;
CREATE INDEX entitlement_by_feature ON entitlement
    (namespace, (hashtextextended(feature_key, 0)), (coalesce(level, -1)), id)
WHERE deleted_at IS NULL;
CREATE INDEX entitlement_by_customer ON entitlement
    (namespace, (hashtextextended(about #>> '{customer,id}', 0)), (coalesce(level, -1)), id)
WHERE deleted_at IS NULL AND about #>> '{customer,id}' IS NOT NULL;
CREATE INDEX entitlement_by_customer_key ON entitlement
    (namespace, (hashtextextended(about #>> '{customer,key}', 0)), (coalesce(level, -1)), id)
WHERE deleted_at IS NULL AND about #>> '{customer,key}' IS NOT NULL;
