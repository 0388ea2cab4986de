"""What the clock's judgement counts, and by which name of a feature it asks. On a real Postgres, without a service."""

import datetime as dt
import json

import asyncpg
import pytest

from consumer import clock
from consumer.commands.apply import change as apply_change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.consume.ingest import Ingest
from consumer.consume.period_ends import PeriodEnds
from consumer.store import configuration
from consumer.store.database import Database
from schemas import times
from schemas.rules_file import RulesFile
from tests.integration.consume.test_glances import ingest, take
from tests.support.factories import native_record
from tests.support.one_rule import CHANNEL, CIPHER, RULE

DAY = dt.timedelta(days=1)
QUOTA = {**RULE, "thresholds": [{"type": "usage_percentage", "value": 100}]}
RESET = {"type": "entitlements.reset", "name": "Reset", "key": "reset"}


async def configure(store: Database, *rules: dict[str, object]) -> None:
    file = RulesFile.model_validate(
        {"channels": [{**CHANNEL, "key": "hook"}], "rules": [{**rule, "channels": ["hook"]} for rule in rules]}
    )
    async with configuration.edit(store, CIPHER, "default") as edit:
        await apply_change(edit, merged([YamlFile("rules.yaml", file, "")]), prune=False)


def ends_of(to: Ingest) -> PeriodEnds:
    return PeriodEnds(to.database, to.memory, to.rulebook, to.metrics, lambda: None, dt.timedelta())


def judged(to: Ingest, reason: str) -> float:
    families = to.metrics.registry.collect()
    samples = [one for family in families for one in family.samples if one.name == "tollbell_judgements_total"]
    return sum(one.value for one in samples if one.labels == {"rule_type": "entitlements.reset", "reason": reason})


async def test_an_earlier_reset_is_counted_as_already_reset(store: Database, database: str) -> None:
    """The row of an ended entitlement goes after a retention, the identities of its events may stay longer."""
    await configure(store, QUOTA, RESET)
    to, now = await ingest(store), clock.now()
    record = native_record(
        100, calculated_at=times.text(now - DAY), period=(times.text(now - 2 * DAY), times.text(now))
    )
    await take(to, record)
    await ends_of(to).once()
    connection = await asyncpg.connect(database)
    await connection.execute("DELETE FROM entitlement")

    to.memory.forget()
    await take(to, record)
    await ends_of(to).once()

    assert await connection.fetch("SELECT count(*) FROM entitlement WHERE ended") == [(1,)]
    assert (judged(to, "reset_automatic"), judged(to, "already_reset")) == (1, 1)
    assert await connection.fetchval("SELECT count(*) FROM event WHERE type = 'entitlements.reset'") == 1
    await connection.close()


@pytest.mark.parametrize(
    ("features", "asked", "end"),
    [
        (({"key": "llm_tokens"}, {"key": "renamed"}), "renamed", DAY),
        # what was last written says no id, which is of the same key as before
        (({"id": "f-9", "key": "renamed"}, {"key": "renamed"}), "f-9", 2 * DAY),
    ],
)
async def test_of_a_renamed_feature_the_clock_asks_by_its_newest_name(
    store: Database, database: str, features: tuple[dict[str, str], ...], asked: str, end: dt.timedelta
) -> None:
    await configure(store, QUOTA, {**RESET, "features": [asked]})
    to, now = await ingest(store), clock.now()
    for minute, feature in enumerate(features, -9):
        at = times.text(now + dt.timedelta(minutes=minute))
        period = (times.text(now - DAY), times.text(now + (end if minute > -9 else DAY)))
        await take(to, native_record(10, calculated_at=at, period=period, feature=feature))
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE entitlement SET shown_at = now() - interval '1 hour', period_to = now()")

    await ends_of(to).once()

    (payload,) = [row["payload"] for row in await connection.fetch("SELECT payload FROM event")]
    assert json.loads(payload)["data"]["feature"]["key"] == "renamed"
    await connection.close()
