-- What follows from a change of a channel. The database sees to it, so it holds for every writer: for Tollbell itself, and
-- for a manual UPDATE. Forward only; never edited after a release.
--
-- Another URL is a new revision, and so is an enabling. One that is a secret is seen by `moves`: `url` shows its origin
-- alone. One that is marked as a secret, or is not any more, leads where it did.
-- After a failover the clock may be behind the one that a channel was disabled by. No round that begins after the enabling
-- is from before the disabling: by whatever clock.
-- A consent is one URL's, for one name of ours, and a channel that is enabled again has none. The rate by which it is
-- claimed is never above the one that was allowed, whatever an edit sets.
CREATE FUNCTION stamp_channel() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_as_masked boolean := (NEW.url LIKE '%/***') = (OLD.url LIKE '%/***');
    is_moved boolean := NEW.moves <> OLD.moves OR (NEW.url <> OLD.url AND is_as_masked);
    is_enabled boolean := OLD.disabled_by IS NOT NULL AND NEW.disabled_by IS NULL;
BEGIN
    IF is_moved OR is_enabled THEN
        NEW.revision := OLD.revision + 1;
    END IF;
    IF is_moved THEN
        NEW.is_hurried := true;
    END IF;
    IF OLD.disabled_by IS NULL AND NEW.disabled_by IS NOT NULL THEN
        NEW.rounds_end_before := clock_timestamp();
    END IF;
    IF is_enabled THEN
        NEW.rounds_end_before := least(OLD.rounds_end_before, clock_timestamp());
    END IF;
    IF is_moved OR is_enabled OR NEW.request_origin IS DISTINCT FROM OLD.request_origin THEN
        NEW.consent_until := NULL;
        NEW.allowed_rate := NULL;
    END IF;
    NEW.rate_limit := least(NEW.rate_limit, NEW.allowed_rate);
    RETURN NEW;
END
$$;

CREATE TRIGGER channel_is_stamped BEFORE UPDATE OF url, moves, disabled_by, request_origin, rate_limit ON channel
    FOR EACH ROW EXECUTE FUNCTION stamp_channel();
