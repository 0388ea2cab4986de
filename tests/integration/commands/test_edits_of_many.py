"""Many rules in one edit: the same as one by one, in one order of locks, and nothing where nothing changed."""

import asyncio
from collections.abc import Sequence

from consumer.commands.apply import change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.store import configuration
from consumer.store.configured import StoredRule
from consumer.store.database import Database
from schemas.rules_file import RulesFile
from tests.support.one_rule import CHANNEL, CIPHER, RULE
from tests.support.partitions import Connection
from tests.support.progress import statement_waits

STATE = "SELECT revision, (SELECT array_agg(xmin::text ORDER BY id) FROM rule) FROM catalog"


def file(keys: Sequence[str], channels: Sequence[str] = ("a", "b"), **rule: object) -> YamlFile[RulesFile]:
    model = RulesFile.model_validate(
        {
            "channels": [{**CHANNEL, "key": key} for key in channels],
            "rules": [{**RULE, "key": key, "channels": list(channels), **rule} for key in keys],
        }
    )
    return YamlFile("rules.yaml", model, "")


async def apply(store: Database, wanted: YamlFile[RulesFile], *, prune: bool = False) -> list[str]:
    async with configuration.edit(store, CIPHER, "default") as edit:
        steps = await change(edit, merged([wanted]), prune=prune)
        edit.keep = any(step.is_change for step in steps)
    return [str(step) for step in steps if step.what == "rule"]


async def rules(store: Database) -> list[StoredRule]:
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        return await edit.rules()


async def test_without_a_change_nothing_is_written(store: Database, sql: Connection) -> None:
    await apply(store, file(["x", "y"]))
    before = await sql.fetchrow(STATE)

    assert await apply(store, file(["x", "y"])) == ["= rule x", "= rule y"]

    assert await sql.fetchrow(STATE) == before


async def test_of_many_only_those_that_differ_are_written(store: Database, sql: Connection) -> None:
    await apply(store, file(["x", "y", "z"]))
    before = await rules(store)

    steps = await apply(store, file(["z", "x"], metadata={"team": "1"}), prune=True)

    after = await rules(store)
    assert steps == [
        '~ rule z\n    metadata: {} -> {"team":"1"}',
        '~ rule x\n    metadata: {} -> {"team":"1"}',
        "- rule y",
    ]
    assert [rule.id for rule in after] == [before[0].id, before[2].id]
    assert [dict(rule.metadata) for rule in after] == [{"team": "1"}] * 2
    assert await sql.fetchval("SELECT revision = (SELECT max(revision) FROM catalog) FROM rule WHERE key = 'y'")


async def test_the_channels_of_a_rule_are_whole_and_in_order(store: Database) -> None:
    await apply(store, file(["x", "y"], ["a", "b", "c"]))
    a, b, c = (await rules(store))[0].channels

    await apply(store, file(["x"], ["c", "a", "d"]))

    x, y = await rules(store)
    assert (x.channels[:2], len(x.channels)) == ((c, a), 3)
    assert x.channels[2] not in {a, b, c}
    assert y.channels == (a, b, c)


async def test_rules_put_and_deleted_are_locked_in_id_order(store: Database, sql: Connection, database: str) -> None:
    """Else a batch that holds the first and waits for the second would wait for an editor that waits for it."""
    await apply(store, file(["x", "y"]))
    first, second = await rules(store)
    async with sql.transaction():
        await sql.execute("SELECT FROM rule WHERE id = $1 FOR SHARE", first.id)
        editing = asyncio.create_task(apply(store, file(["y"], metadata={"team": "1"}), prune=True))
        await statement_waits(database)

        await sql.execute("SELECT FROM rule WHERE id = $1 FOR SHARE NOWAIT", second.id)

    assert await editing == ['~ rule y\n    metadata: {} -> {"team":"1"}', "- rule x"]
