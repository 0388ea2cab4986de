"""Documents on a real Postgres: what is written is what is read, and what the clock finds of them, by its index."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from consumer import encryption
from consumer.commands.apply import change as apply_change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.consume.memory import Memory
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE, AnyDocument, Document, InvoiceDocument, Mark
from consumer.store import catalog, configuration, ended, outbox, queries
from consumer.store.database import Database
from consumer.store.ended import EndedPeriod
from consumer.store.memory import EntitlementKey, InvoiceKey, MemoryKey
from consumer.store.outbox import Change, Result
from schemas.events import FeatureRef
from schemas.rules import RuleId, Since
from schemas.rules_file import RulesFile
from tests.support.factories import NOW, PERIOD

DAY = dt.timedelta(days=1)
NO_DELAY = dt.timedelta()
KEY = EntitlementKey("default", "ent-1")
INVOICE = InvoiceKey("default", "ent-1")  # the same id: another kind of thing
CIPHER = encryption.parse_keys(encryption.new_key())
WHOLE = Document(
    period_from=PERIOD[0],
    period_to=PERIOD[1],
    begins_at=PERIOD[0] + DAY,
    known_at=NOW + DAY,
    newest_at=NOW + 3 * DAY,
    as_of=NOW,
    deleted_at=NOW + DAY,
    active_to=NOW + 2 * DAY,
    reset_until=PERIOD[1],
    feature=FeatureRef("", "llm_tokens"),
    marks={RuleId("rule-1"): {"usage_value:1": Mark("ignored", 0, NOW, Decimal("1e30"), is_notified=False)}},
    resets=frozenset({RuleId("rule-2"), RuleId("rule-3")}),
    sights={RuleId("rule-1"): {"usage_value:1": 7}},
    level=1000,
    level_at=NOW,
)


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[Database]:
    opened = await Database.connect(migrated, size=4)
    yield opened
    await opened.close()


async def written(store: Database, key: MemoryKey, document: AnyDocument) -> Result:
    (one,) = await outbox.write(store, [Change(key, document, b'{"feature":{"key":"k"}}', ())])
    return one.result


async def read(store: Database, key: MemoryKey) -> AnyDocument:
    return (await Memory(store, limit=10).load([key]))[key]


async def taken(store: Database, limit: int = 10) -> list[EndedPeriod]:
    async with ended.take(store, delay=NO_DELAY, limit=limit) as taking:
        return await taking.documents()


async def test_a_document_is_read_as_it_was_written(store: Database) -> None:
    assert await read(store, KEY) is UNSEEN

    assert await written(store, KEY, WHOLE) is Result.WRITTEN

    assert await read(store, KEY) == msgspec.structs.replace(WHOLE, version=1)


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        # an older release knows nothing of the level: it leaves that of the period before
        ({}, 80),
        ({"period_from": NOW + DAY}, None),
        ({"begins_at": NOW + DAY}, None),
        ({"ended": True}, None),
    ],
)
async def test_a_level_of_a_period_that_is_over_is_not_known(
    store: Database, changed: dict[str, object], level: int | None
) -> None:
    document = Document(period_from=PERIOD[0], period_to=PERIOD[1], level=80, level_at=NOW)
    await written(store, KEY, document)
    await written(store, KEY, msgspec.structs.replace(document, version=1, **changed))

    left = msgspec.structs.replace(document, version=2, **changed, level=level, level_at=NOW if level else None)
    assert await read(store, KEY) == left


async def test_an_invoices_document_is_its_own_whatever_the_id(store: Database) -> None:
    assert await read(store, INVOICE) is UNSEEN_INVOICE
    shown = InvoiceDocument(state="draft.created", as_of=NOW)

    results = [
        await written(store, KEY, WHOLE),
        await written(store, INVOICE, shown),
        await written(store, INVOICE, msgspec.structs.replace(shown, version=1, state="issued")),
        await written(store, INVOICE, msgspec.structs.replace(shown, version=1, state="paid")),
    ]

    assert results == [Result.WRITTEN, Result.WRITTEN, Result.WRITTEN, Result.CHANGED]
    assert await read(store, INVOICE) == InvoiceDocument(version=2, state="issued", as_of=NOW)
    assert await read(store, KEY) == msgspec.structs.replace(WHOLE, version=1)


@pytest.mark.parametrize(
    ("changed", "is_taken"),
    [
        # shown in time, and over
        ({}, True),
        # not over yet
        ({"period_to": "now() + interval '1 hour'"}, False),
        # shown when it was over: an old topic read again
        ({"shown_at": "now() - interval '1 minute'"}, False),
        # … but a threshold has fired in it, and long enough ago
        ({"shown_at": "now() - interval '1 minute'", "fired_at": "now() - interval '1 second'"}, True),
        ({"shown_at": "now() - interval '1 minute'", "fired_at": "now() + interval '1 hour'"}, False),
        ({"fired_at": "now() + interval '1 hour'"}, False),
        # it never ends
        ({"period_to": "NULL"}, False),
        ({"period_to": "NULL", "fired_at": "now() - interval '1 second'"}, False),
        # ended already
        ({"ended": "true"}, False),
        # gone, or gone with the period
        ({"deleted_at": "now()"}, False),
        ({"active_to": "now() - interval '1 hour'"}, False),
        # lives on beyond the period
        ({"active_to": "now() + interval '1 hour'"}, True),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
async def test_what_the_clock_has_to_end(
    store: Database, migrated: str, changed: dict[str, str], *, is_taken: bool
) -> None:
    await written(store, KEY, Document(period_from=PERIOD[0], period_to=PERIOD[1]))
    past = {"shown_at": "now() - interval '2 days'", "period_from": "now() - interval '9 days'"}
    columns = past | {"period_to": "now() - interval '1 minute'"} | changed
    connection = await asyncpg.connect(migrated)
    values = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await connection.execute(f"UPDATE entitlement SET {values}")  # noqa: S608 - the table above
    await connection.close()

    assert [one.key for one in await taken(store)] == ([KEY] if is_taken else [])


async def test_when_a_period_was_shown_changes_with_its_start_alone(store: Database, migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    document = Document(period_from=PERIOD[0], period_to=PERIOD[1])
    await written(store, KEY, document)
    shown = [await connection.fetchval("SELECT shown_at FROM entitlement")]

    for version, changed in enumerate(
        ({"as_of": NOW}, {"period_to": PERIOD[1] + DAY}, {"begins_at": NOW}, {"period_from": PERIOD[0] + DAY}), 1
    ):
        await written(store, KEY, msgspec.structs.replace(document, version=version, **changed))
        shown.append(await connection.fetchval("SELECT shown_at FROM entitlement"))

    first, same, extended, moved, later = shown
    assert first == same == extended < moved < later
    await connection.close()


async def test_an_entitlement_waits_for_the_clock_or_for_retention(store: Database, migrated: str) -> None:
    """But what never ends and is neither deleted nor has an end of its own: that stays, and waits for no clock."""
    await written(store, KEY, Document(period_from=PERIOD[0], period_to=PERIOD[1]))
    connection = await asyncpg.connect(migrated)
    ends, over = [
        await connection.fetchval(
            "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = $1::text::regclass", index
        )
        for index in ("entitlement_ends", "entitlement_over")
    ]
    may_end = "(VALUES (NULL), (now() - interval '1 day'), (now()), (now() + interval '1 day'))"
    rows = await connection.fetch(
        f"""WITH entitlement AS (
                SELECT now() AS shown_at, ended, deleted_at, fired_at, active_to, period_to
                FROM (VALUES (true), (false)) a (ended), (VALUES (NULL), (now())) b (deleted_at),
                     (VALUES (NULL), (now())) c (fired_at), {may_end} d (active_to), {may_end} e (period_to)
            )
            SELECT ({ends}) IS TRUE AND period_to IS NOT NULL AS ends, ({over}) IS TRUE AS over,
                   (period_to IS NULL AND deleted_at IS NULL AND active_to IS NULL AND NOT ended) AS stays
            FROM entitlement"""  # noqa: S608 - the database's own words
    )

    assert [tuple(row) for row in rows if row["ends"] + row["over"] + row["stays"] != 1] == []
    await connection.close()


async def test_a_firing_is_remembered_for_the_current_period_alone(store: Database, migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    document = Document(period_from=PERIOD[0], period_to=PERIOD[1])
    found = []
    for version, (has_fired, changed) in enumerate(
        [(True, {}), (False, {"as_of": NOW}), (True, {"as_of": NOW}), (False, {"begins_at": NOW}), (True, {})]
    ):
        after = msgspec.structs.replace(document, version=version, **changed)
        await outbox.write(store, [Change(KEY, after, b"{}", (), has_fired=has_fired)])
        found.append(await connection.fetchval("SELECT fired_at FROM entitlement"))

    first, same, again, other_period, back = found
    assert first == same < again < back
    assert other_period is None
    await connection.close()


@pytest.mark.parametrize("begins_at", [PERIOD[0], PERIOD[0] - DAY])
async def test_a_start_left_by_an_older_release_does_not_count(store: Database, begins_at: dt.datetime) -> None:
    await written(store, KEY, Document(period_from=PERIOD[0], period_to=PERIOD[1], begins_at=begins_at))

    assert (await read(store, KEY)).begins_at is None


async def test_of_a_row_of_an_older_release_the_newest_mark_speaks(store: Database) -> None:
    await written(store, KEY, Document(period_from=PERIOD[0], period_to=PERIOD[1], as_of=NOW, deleted_at=NOW + DAY))

    assert (await read(store, KEY)).known_at == NOW + DAY


async def test_two_take_different_documents(store: Database, migrated: str) -> None:
    for n in range(4):
        await written(store, EntitlementKey("default", f"e{n}"), Document(period_from=PERIOD[0], period_to=PERIOD[1]))
    connection = await asyncpg.connect(migrated)
    await connection.execute("UPDATE entitlement SET period_to = now(), shown_at = now() - interval '1 day'")
    await connection.close()

    async with (
        ended.take(store, delay=NO_DELAY, limit=2) as one,
        ended.take(store, delay=NO_DELAY, limit=9) as other,
    ):
        both = [[taking.key.id for taking in await side.documents()] for side in (one, other)]

    assert [len(side) for side in both] == [2, 2]
    assert sorted(both[0] + both[1]) == ["e0", "e1", "e2", "e3"]


async def test_what_is_set_aside_is_not_taken_until_it_has_changed(store: Database, migrated: str) -> None:
    for n in range(3):
        await written(store, EntitlementKey("default", f"e{n}"), Document(period_from=PERIOD[0], period_to=PERIOD[1]))
    connection = await asyncpg.connect(migrated)
    await connection.execute("UPDATE entitlement SET period_to = now(), shown_at = now() - interval '1 day'")
    first = await taken(store)
    aside = [one.due for one in first if one.key.id in {"e0", "e1"}]
    await connection.execute("UPDATE entitlement SET version = version + 1 WHERE id = 'e1'")
    await connection.close()

    async with ended.take(store, delay=NO_DELAY, limit=9, but=aside) as taking:
        left = sorted(due.id for due in taking.due)
    async with ended.take_again(store, aside) as taking:
        again = [one.key.id for one in await taking.documents()]

    assert (left, again) == (["e1", "e2"], ["e0"])


@pytest.mark.usefixtures("store")
async def test_the_clock_reads_ended_entitlements_alone(migrated: str) -> None:
    connection = await asyncpg.connect(migrated, server_settings={"plan_cache_mode": "force_generic_plan"})
    await connection.execute(
        "INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)"
        " SELECT 'default', 'e' || n, 1, now() - interval '9 days', now() + n * interval '1 hour', '{}', '{}'"
        " FROM generate_series(1, 20000) n"
    )
    await connection.execute("ANALYZE entitlement")
    statement = queries.load("memory/ended")
    await connection.execute(f"PREPARE ended (interval, text[], text[], bigint[], int) AS {statement.sql}")
    execute = "EXPLAIN EXECUTE ended ('1 minute', '{a}', '{b}', '{1}', 500)"

    plan = "\n".join(row[0] for row in await connection.fetch(execute))

    assert "Index Scan using entitlement_ends" in plan, plan
    await connection.close()


async def test_on_create_ignore_is_in_force_with_its_edit(store: Database) -> None:
    async def applied(*values: int, **rule: object) -> dict[str, Since]:
        thresholds = [{"type": "usage_value", "value": value} for value in values]
        named = {"key": "quota", "type": "entitlements.balance.threshold", "name": "Quota", "channels": ["hook"]}
        file = {
            "channels": [{"key": "hook", "type": "WEBHOOK", "name": "Hook", "url": "http://127.0.0.1:8080/"}],
            "rules": [named | {"thresholds": thresholds} | rule],
        }
        async with configuration.edit(store, CIPHER, "default") as edit:
            await apply_change(edit, merged([YamlFile("rules.yaml", RulesFile.model_validate(file), "")]), prune=False)
        found = (await catalog.load(store)).matching("default", "", "any")
        return dict(found[0].ignoring) if found else {}

    made = await applied(1, 2, onCreate="ignore")
    grown = await applied(1, 3, onCreate="ignore")
    disabled = await applied(1, 3, onCreate="ignore", disabled=True)
    enabled = await applied(1, 3, onCreate="ignore")
    evaluating = await applied(1, 3)
    again = await applied(1, 3, onCreate="ignore")

    assert {one.revision for one in made.values()} == {2}
    assert grown["usage_value:1"] == made["usage_value:1"]
    assert grown["usage_value:3"].revision == 3
    assert grown["usage_value:3"].at > made["usage_value:1"].at
    assert "usage_value:2" not in grown
    assert disabled == evaluating == again == {}
    assert [one.revision for one in enabled.values()] == [5, 5]
