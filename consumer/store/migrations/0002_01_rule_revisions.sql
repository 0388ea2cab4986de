-- Rules carry the revision of their last change: a replica loads what has changed since its own. Forward only; never edited
-- after a release.

ALTER TABLE rule ADD COLUMN revision bigint NOT NULL DEFAULT 0;  -- of those made before this: every replica loads all once
CREATE INDEX rule_by_revision ON rule (revision);

-- The database sets it, so it holds for every writer: for a replica of the release before, which knows no such column, and
-- for a manual UPDATE, which takes a new revision here. An editor has one already (catalog/bump.sql).
-- A revision is visible together with all that was written under it: its row in `catalog` is locked until the commit.
-- Lock order of an UPDATE that bumps here: the rule, the catalog; of an editor: the catalog, rules by id.
CREATE FUNCTION stamp_rule() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_editor boolean;
BEGIN
    SELECT c.revision, c.xmin = pg_current_xact_id()::xid INTO STRICT NEW.revision, is_editor FROM catalog c;
    IF NOT is_editor THEN
        UPDATE catalog SET revision = revision + 1 RETURNING revision INTO NEW.revision;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER rule_is_stamped BEFORE INSERT OR UPDATE ON rule FOR EACH ROW EXECUTE FUNCTION stamp_rule();

-- A row that is gone can't be loaded as a change.
CREATE FUNCTION refuse_rule_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rule %: set deleted_at instead: replicas would go on judging it', OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER rule_is_deleted_softly BEFORE DELETE ON rule FOR EACH ROW WHEN (OLD.deleted_at IS NULL)
EXECUTE FUNCTION refuse_rule_delete();
