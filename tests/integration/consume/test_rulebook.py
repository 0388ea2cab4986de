"""A replica's rules beside the database's: nothing that was committed is missed, and nothing else is taken over."""

import asyncio
import datetime as dt
import random

import asyncpg
import pytest

from consumer import clock
from consumer.consume.rulebook import Rulebook
from consumer.metrics import Metrics
from consumer.store import catalog, configuration
from consumer.store.catalog import Catalog
from consumer.store.configured import StoredRule
from consumer.store.database import Database, Took
from schemas.rules import Spec, read_spec
from tests.support.factories import make_rule
from tests.support.one_rule import CIPHER, configure, scalar
from tests.support.partitions import Connection

FEATURES = ("f-1", "f-2", "f-3")
MANY = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'many-' || n, 'default', 'entitlements.reset', 'Reset', '{"type": "entitlements.reset"}'
    FROM generate_series(1, $1::int) n
"""


@pytest.fixture
async def replica(store: Database) -> Rulebook:
    """A replica that has loaded the rules there are: none."""
    rules = Rulebook(store, Metrics())
    await rules.refresh()
    return rules


def stored_rule(rule_id: str, spec: Spec, *, disabled: bool = False) -> StoredRule:
    return StoredRule(
        id=rule_id,
        namespace="default",
        key=None,
        name="Quota",
        spec=spec,
        channels=(),
        metadata={},
        disabled=disabled,
    )


def shown(of: Catalog) -> dict[str, list[object]]:
    """Return what each feature's records find, with all that is judged by."""
    found = {feature: of.matching("default", "", feature) for feature in ("any", *FEATURES)}
    return {feature: [rule.model_dump() for rule in rules] for feature, rules in found.items()}


def names(of: Rulebook) -> list[str]:
    return [rule.name for rule in of.catalog.matching("default", "", "llm_tokens")]


class SlowDatabase(Database):
    """A database whose answer about changes has been read, and arrives when it may."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", took: Took) -> None:
        super().__init__(pool, took)
        self.is_slow = False
        self.asked = 0
        self.has_read, self.goes_on = asyncio.Event(), asyncio.Event()

    async def rows(self, name: str, /, **arguments: object) -> list[asyncpg.Record]:
        self.asked += 1
        is_slow, rows = self.is_slow, await super().rows(name, **arguments)
        if is_slow and name == "catalog/changes":
            self.has_read.set()
            await self.goes_on.wait()
        return rows


class Editors:
    """Edits at random, of a few rules; some are rolled back."""

    def __init__(self, store: Database, seed: int) -> None:
        self._store = store
        self._chance = random.Random(seed)
        self._ids = [f"rule-{n}" for n in range(6)]

    async def edit(self) -> None:
        chance = self._chance
        keep = chance.random() < 0.7
        async with configuration.edit(self._store, CIPHER, "default", keep=keep) as edit:
            for rule_id in chance.sample(self._ids, chance.randint(0, 3)):
                before = await edit.rule(rule_id)
                if before is not None and chance.random() < 0.3:
                    await edit.delete_rule(before)
                    self._ids[self._ids.index(rule_id)] = f"rule-{chance.random()}"
                    continue
                spec = read_spec(
                    {
                        "type": "entitlements.balance.threshold",
                        "thresholds": [{"type": "usage_value", "value": chance.randint(1, 9)}],
                        "features": chance.choice([None, chance.sample(FEATURES, 2)]),
                        "onCreate": chance.choice(["evaluate", "ignore"]),
                    }
                )
                await edit.put_rule(stored_rule(rule_id, spec, disabled=chance.random() < 0.3))


@pytest.mark.parametrize("seed", range(3))
async def test_edits_and_rollbacks_end_in_what_loading_all_shows(store: Database, replica: Rulebook, seed: int) -> None:
    """Notifications are missed: it looks now and then, after one edit or several, or after none."""
    editors, chance = Editors(store, seed), random.Random(seed)
    for _ in range(40):
        for _ in range(chance.randint(0, 3)):
            await editors.edit()

        await replica.refresh()

        whole = await catalog.load(store)
        assert shown(replica.catalog) == shown(whole)
        assert (replica.catalog.revision, replica.catalog.size) == (whole.revision, whole.size)


async def test_an_edit_is_seen_once_it_is_committed_and_not_before(store: Database, replica: Rulebook) -> None:
    await configure(store, "hook", name="first")
    async with configuration.edit(store, CIPHER, "default") as edit:
        (rule,) = await edit.rules()
        await edit.delete_rule(rule)
        await replica.refresh()
        assert names(replica) == ["first"]

    await replica.refresh()

    assert names(replica) == []


async def test_a_revision_taken_again_after_a_rollback_is_loaded(store: Database, replica: Rulebook) -> None:
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        await edit.put_rule(stored_rule("rule-1", make_rule(percents=[80]).spec))
    await replica.refresh()
    before = replica.catalog.revision

    async with configuration.edit(store, CIPHER, "default") as edit:
        await edit.put_rule(stored_rule("rule-2", make_rule(percents=[80]).spec))
    await replica.refresh()

    assert replica.catalog.revision == before + 1
    assert [rule.id for rule in replica.catalog.matching("default", "", "k")] == ["rule-2"]


async def test_another_server_that_has_lost_commits_is_loaded_whole(store: Database, replica: Rulebook) -> None:
    """After a failover a revision may be another edit's: what the replica holds was never committed there."""
    await configure(store, "hook", name="first")
    now = await catalog.load(store)
    assert now.server is not None
    lost = Catalog(now.revision, [make_rule(percents=[1], rule_id="lost")], server=now.server - dt.timedelta(days=1))
    replica.catalog = lost

    await replica.refresh()

    assert names(replica) == ["first"]
    assert replica.catalog.server == now.server


async def test_a_revision_that_has_gone_back_is_loaded_whole(store: Database, replica: Rulebook) -> None:
    """A dump that was restored into the same server."""
    await configure(store, "hook", name="first")
    now = await catalog.load(store)
    replica.catalog = Catalog(now.revision + 7, [make_rule(percents=[1], rule_id="lost")], server=now.server)

    await replica.refresh()

    assert names(replica) == ["first"]
    assert replica.catalog.revision == now.revision


async def test_a_manual_update_takes_a_revision(store: Database, replica: Rulebook, database: str) -> None:
    await configure(store, "hook", name="first")
    await replica.refresh()
    before = replica.catalog.revision

    await scalar(database, "UPDATE rule SET name = 'second' RETURNING 1")
    await replica.refresh()

    assert names(replica) == ["second"]
    assert replica.catalog.revision == before + 1


async def test_the_release_before_writes_rules_that_are_loaded(replica: Rulebook, sql: Connection) -> None:
    """It knows no revision of a rule, and bumps the catalog's."""
    async with sql.transaction():
        await sql.execute("UPDATE catalog SET revision = revision + 1")
        await sql.execute(MANY, 2)
    await replica.refresh()
    before = replica.catalog.revision
    async with sql.transaction():
        await sql.execute("UPDATE catalog SET revision = revision + 1")
        await sql.execute("UPDATE rule SET deleted_at = now() WHERE id = 'many-1'")
    await replica.refresh()

    assert [rule.id for rule in replica.catalog.matching("default", "", "k")] == ["many-2"]
    assert replica.catalog.revision == before + 1


async def test_a_rule_is_never_removed_before_it_is_deleted(store: Database, sql: Connection) -> None:
    rule = await configure(store, "hook")
    await sql.execute("DELETE FROM rule_channel")

    with pytest.raises(asyncpg.RestrictViolationError, match=f"rule {rule}: set deleted_at instead"):
        await sql.execute("DELETE FROM rule")
    await sql.execute("UPDATE rule SET deleted_at = now()")
    assert await sql.execute("DELETE FROM rule") == "DELETE 1"


async def test_a_newer_releases_rule_is_left_out_until_it_can_be_read(replica: Rulebook, sql: Connection) -> None:
    await sql.execute(MANY, 2)
    await replica.refresh()

    await sql.execute("UPDATE rule SET spec = '{\"type\": \"of.tomorrow\"}' WHERE id = 'many-1'")
    await replica.refresh()
    assert replica.catalog.unreadable == ("many-1",)
    assert [rule.id for rule in replica.catalog.matching("default", "", "k")] == ["many-2"]
    await sql.execute("UPDATE rule SET spec = '{\"type\": \"entitlements.reset\"}' WHERE id = 'many-1'")
    await replica.refresh()

    assert replica.catalog.unreadable == ()
    assert [rule.id for rule in replica.catalog.matching("default", "", "k")] == ["many-1", "many-2"]


async def test_an_answer_that_comes_late_never_takes_back_a_later_one(database: str, store: Database) -> None:
    slow = await SlowDatabase.connect(database, size=4)
    replica = Rulebook(slow, Metrics())
    await replica.refresh()
    await configure(store, "hook", name="first")
    slow.is_slow = True
    async with asyncio.TaskGroup() as together:
        together.create_task(replica.refresh())
        await slow.has_read.wait()
        slow.is_slow = False
        await configure(store, "hook", name="second")
        asked, late = slow.asked, together.create_task(replica.refresh())
        await clock.sleep(0)  # it waits for its turn, or asks: then it is to come first
        if slow.asked > asked:
            await late
        slow.goes_on.set()

    await slow.close()
    assert names(replica) == ["second"]


async def test_many_changes_at_once_leave_the_event_loop_its_turns(
    store: Database, replica: Rulebook, sql: Connection
) -> None:
    await sql.execute(MANY, 2_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await clock.sleep(0)
            turns += 1

    beside = asyncio.create_task(other())
    changed = await catalog.current(store, replica.catalog)
    before, turns = turns, 0
    beside.cancel()

    assert changed.size == 2_000
    assert before >= 2_000 / catalog.SLICE
