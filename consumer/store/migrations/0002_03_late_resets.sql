-- Which reset is perhaps made already of a period that began late, and what the entitlement's feature is by its newest
-- record.
--
-- Of rows that an older release wrote: no reset_until, a reset that was made is not made again; no feature, the clock
-- asks for rules by the one in `about`.
ALTER TABLE entitlement
    ADD COLUMN reset_until timestamptz,                   -- the latest start that a reset was made of, where it is later than this period's
    ADD COLUMN feature_id  text,                          -- empty where no record says one
    ADD COLUMN feature_key text;
