-- Retention: what makes and drops partitions of the tables that are keyed by an event's id.
--
-- The commands that make and drop tables take no parameters, hence functions: names and bounds are quoted here, and no
-- lock is held while the client is asked for the next command. A caller sets lock_timeout: one who gives up has changed
-- nothing. A table's key is `id` where it is `event`, else `event_id`; its partition of what no other has is `…_default`.

-- How long a record of a topic may be read again, as its brokers said when they were last asked; NULL: for ever.
-- Identities of events are kept for as long.
CREATE TABLE topic_retention (
    topic    text PRIMARY KEY,
    kept_for interval,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Give *parent* a partition for the ids from *from_id* to before *to_id*. Rows of that range that wait in the default
-- partition move there in the same transaction; more than *most* of them stay where they are, and so does the range.
-- Lock order: the turn (advisory), the default partition, the parent (shared with readers and writers).
CREATE FUNCTION make_partition(
    parent text, suffix text, from_id text, to_id text, most integer, only_for_rows boolean,
    OUT result text, OUT moved bigint
) LANGUAGE plpgsql AS $$
DECLARE
    key text := CASE parent WHEN 'event' THEN 'id' ELSE 'event_id' END;
    made text := parent || '_' || suffix;
    fallback text := parent || '_default';
BEGIN
    moved := 0;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I WHERE %I >= $1 AND %I < $2 LIMIT $3) s', fallback, key, key)
    INTO moved USING from_id, to_id, most + 1;
    result := CASE WHEN only_for_rows AND moved = 0 THEN 'not_needed' WHEN moved > most THEN 'too_many' ELSE 'made' END;
    IF result <> 'made' THEN
        RETURN;
    END IF;
    IF NOT pg_try_advisory_xact_lock(x'7011BE12'::bigint) THEN
        result := 'busy';
        RETURN;
    END IF;
    IF to_regclass(quote_ident(made)) IS NOT NULL THEN
        result := 'exists';
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', made, parent);
    -- Nobody adds to the default partition between the move and the end: it could not become what it must be then.
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', fallback);
    EXECUTE format('WITH m AS (DELETE FROM %I WHERE %I >= $1 AND %I < $2 RETURNING *) INSERT INTO %I SELECT * FROM m',
                   fallback, key, key, made)
    USING from_id, to_id;
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, made, from_id, to_id);
END
$$;

-- Drop the partition of *parent* for the ids from *from_id* to before *to_id*, unless an open delivery refers to one of
-- them. Whoever makes a delivery of an old event has read that event in the same transaction, so once the lock is had,
-- that delivery is seen here, or the event is not found there.
-- Lock order: the turn (advisory), the parent.
CREATE FUNCTION drop_partition(parent text, suffix text, from_id text, to_id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    dropped text := parent || '_' || suffix;
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'7011BE12'::bigint) THEN
        RETURN 'busy';
    END IF;
    IF to_regclass(quote_ident(dropped)) IS NULL THEN
        RETURN 'gone';
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    IF EXISTS (SELECT FROM delivery d WHERE d.due_at IS NOT NULL AND d.event_id >= from_id AND d.event_id < to_id) THEN
        RETURN 'kept';
    END IF;
    EXECUTE format('DROP TABLE %I', dropped);
    RETURN 'dropped';
END
$$;

-- Remove events from the default partition, row by row, with all that belongs to them: what a wrong clock has left there.
-- Only those that were made, and whose deliveries have all ended, by *over_by*. Lock order: events, deliveries.
CREATE FUNCTION remove_strays(parents text[], over_by timestamptz, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
    parent text;
BEGIN
    SELECT coalesce(array_agg(s.id), '{}')
    INTO ids
    FROM (
        SELECT e.id
        FROM event_default e
        WHERE e.created_at <= over_by
          AND NOT EXISTS (
              SELECT
              FROM delivery d
              WHERE d.event_id = e.id
                AND (d.due_at IS NOT NULL OR d.ended_at > over_by))
        LIMIT most
        FOR UPDATE OF e SKIP LOCKED
    ) s;
    IF ids = '{}' THEN
        RETURN 0;
    END IF;
    DELETE FROM delivery WHERE event_id = ANY (ids);
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('DELETE FROM %I WHERE %I = ANY ($1)',
                       parent, CASE parent WHEN 'event' THEN 'id' ELSE 'event_id' END)
        USING ids;
    END LOOP;
    RETURN cardinality(ids);
END
$$;
