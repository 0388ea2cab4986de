"""What a change of a rule costs a replica, among how many rules; and `tollbell apply`: `python -m tests.bench.editing`.

Starts a Postgres. Among 100, 1,000, 6,000 and 10,000 rules one is changed, EDITS=200 times, and a replica's rules made
current after each: its CPU, wall-clock time and how long the event loop stood still, in milliseconds, medians; and
Postgres' CPU for it, the mean. Then what records that change nothing cost while rules are edited: 1,000 entitlements of
as many features among RULES=6000 rules, a rule edited after every 200 records (10 edits/s at 2,000 records/s), EDITS
times; CPU a record in microseconds with what it costs to make the rules current, and how many were judged in full. Then
`tollbell apply` of RULES rules, in seconds: all new, none changed, one changed, all changed; a file in JSON, and in
YAML. A line of JSON for each. ARGS: `edits`, `records` or `apply` for some of them.
"""

import asyncio
import datetime as dt
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import asyncpg
import yaml

from consumer import clock, encryption
from consumer.consume.batch import KafkaRecord
from consumer.consume.dead_letters import DeadLetter
from consumer.consume.ingest import Ingest
from consumer.consume.memory import Memory
from consumer.consume.rulebook import Rulebook
from consumer.demo.servers import account, choose
from consumer.metrics import Metrics
from consumer.store import configuration
from consumer.store.database import Database
from schemas import times
from tests.bench.place import postgres_cpu
from tests.bench.rules import hook, quota
from tests.support.asked import number, sections
from tests.support.factories import NOW, kafka_record, native_record
from tests.support.places import new_database, new_template
from tests.support.service import Deployment, Topics, environment

SIZES = (100, 1_000, 6_000, 10_000)
EDITS, RULES = number("EDITS", 200), number("RULES", 6_000)
ENTITLEMENTS, EVERY = 1_000, 200
NAMESPACES = 10
CIPHER = encryption.parse_keys(encryption.new_key())
FILL = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'rule-' || n, 'ns-' || n % $2::int, 'entitlements.balance.threshold', 'Quota', json_build_object(
               'type', 'entitlements.balance.threshold', 'features', json_build_array('feature-' || n), 'thresholds',
               json_build_array(json_build_object('type', 'usage_percentage', 'value', 80),
                                json_build_object('type', 'usage_percentage', 'value', 100)))
    FROM generate_series(0, $1::int - 1) n
"""
FILL_CHANNELS = """
    WITH made AS (
        INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
        SELECT 'hook-' || n, 'ns-' || n, 'WEBHOOK', 'Hook', 'http://127.0.0.1/', 'openmeter', 's'
        FROM generate_series(0, $2::int - 1) n
        RETURNING id)
    INSERT INTO rule_channel SELECT 'rule-' || n, 'hook-' || n % $2::int, 1 FROM generate_series(0, $1::int - 1) n, made
    WHERE made.id = 'hook-' || n % $2::int
"""


async def edits(server: str, template: str) -> None:
    for size in SIZES:
        async with new_database(server, template=template) as url:
            connection = await asyncpg.connect(url)
            await connection.execute(FILL, size, NAMESPACES)
            await connection.execute(FILL_CHANNELS, size, NAMESPACES)
            await connection.execute("ANALYZE")
            await connection.close()
            database = await Database.connect(url, size=2)
            print(json.dumps({"rules": size, **await _edited(database, size)}), flush=True)  # noqa: T201 - its result
            await database.close()


async def _edited(database: Database, size: int) -> dict[str, float]:
    rules = Rulebook(database, Metrics())
    await rules.refresh()
    assert rules.catalog.size == size
    took: dict[str, list[float]] = {"cpu_ms": [], "wall_ms": [], "still_ms": [], "edit_ms": []}
    used = 0.0
    for n in range(EDITS):
        at = clock.monotonic()
        await _edit(database, n * 7919 % size, f"Quota {n}")
        took["edit_ms"].append(clock.monotonic() - at)
        postgres, cpu, at = postgres_cpu(), time.process_time(), clock.monotonic()
        async with _Stillness() as still:
            await rules.refresh()
        took["wall_ms"].append(clock.monotonic() - at)
        took["cpu_ms"].append(time.process_time() - cpu)
        took["still_ms"].append(still.longest)
        used += postgres_cpu() - postgres
    shown = {name: round(statistics.median(each) * 1000, 2) for name, each in took.items()}
    return shown | {"postgres_cpu_ms": round(used / EDITS * 1000, 2)}


async def _edit(database: Database, n: int, name: str) -> None:
    async with configuration.edit(database, CIPHER, f"ns-{n % NAMESPACES}") as edit:
        rule = await edit.rule(f"rule-{n}")
        assert rule is not None
        await edit.put_rule(replace(rule, name=name))


async def records(server: str, template: str) -> None:
    async with new_database(server, template=template) as url:
        connection = await asyncpg.connect(url)
        await connection.execute(FILL, RULES, NAMESPACES)
        await connection.execute(FILL_CHANNELS, RULES, NAMESPACES)
        await connection.execute("ANALYZE")
        await connection.close()
        database = await Database.connect(url, size=4)
        for is_edited in (False, True):
            print(json.dumps(await _judged(database, is_edited=is_edited)), flush=True)  # noqa: T201 - its result
        await database.close()


async def _judged(database: Database, *, is_edited: bool) -> dict[str, object]:
    metrics = Metrics()
    rules, letters = Rulebook(database, metrics), Letters()
    ingest = Ingest(
        database,
        Memory(database, limit=ENTITLEMENTS * 2),
        rules,
        letters,
        metrics,
        lambda: None,
        dt.timedelta(days=999),
    )
    await rules.refresh()
    await ingest.batch([_record(n, second) for second in range(2) for n in range(ENTITLEMENTS)])
    used, full = 0.0, 0
    for round_ in range(EDITS):
        if is_edited:
            await _edit(database, round_ * 7919 % RULES, f"Quota {round_}")
        batch = [_record(n % ENTITLEMENTS, 2 + n // ENTITLEMENTS) for n in range(round_ * EVERY, (round_ + 1) * EVERY)]
        at = time.process_time()
        await rules.refresh()
        full += (await ingest.batch(batch)).wanted
        used += time.process_time() - at
    return {
        "rules": RULES,
        "edits": EDITS if is_edited else 0,
        "records": EDITS * EVERY,
        "judged in full": full,
        "cpu_us": round(used / EDITS / EVERY * 1e6, 1),
    }


def _record(n: int, second: int) -> KafkaRecord:
    at = times.text(NOW + dt.timedelta(seconds=second))
    feature = {"id": f"feature-{n}", "key": f"feature-{n}"}
    return kafka_record(
        native_record(10, entitlement=f"ent-{n}", calculated_at=at, feature=feature, namespace=f"ns-{n % NAMESPACES}")
    )


class Letters:
    """Where no dead letter comes."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        assert not letters


class _Stillness:
    """How long the event loop stood still at most, in seconds."""

    async def __aenter__(self) -> Self:
        self.longest, self._at = 0.0, clock.monotonic()
        self._turn()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._next.cancel()
        self.longest = max(self.longest, clock.monotonic() - self._at)

    def _turn(self) -> None:
        now = clock.monotonic()
        self.longest, self._at = max(self.longest, now - self._at), now
        self._next = asyncio.get_running_loop().call_later(0.001, self._turn)


def rules_file(count: int, changed: range = range(0)) -> str:
    """Return *count* rules and ten channels as JSON, which is YAML; those of *changed* have another threshold."""
    rules = [quota(f"quota-{n}", f"hook-{n % 10}", f"feature-{n}", [90 if n in changed else 80]) for n in range(count)]
    channels = [hook(f"hook-{n}", "http://127.0.0.1:8080/") for n in range(10)]
    return json.dumps({"channels": channels, "rules": rules}, indent=0)


async def apply(server: str, template: str) -> None:
    steps = {"all new": range(0), "none changed": range(0), "one changed": range(1), "all changed": range(1, RULES)}
    for form in ("JSON", "YAML"):
        with account.scratch() as directory:
            async with new_database(server, template=template) as url:
                topics = Topics(usage="unused", dead_letters="unused-too")
                values = environment(database=url, bootstrap="127.0.0.1:1", topics=topics)
                for what, changed in steps.items():
                    text = rules_file(RULES, changed)
                    text = text if form == "JSON" else yaml.dump(json.loads(text), Dumper=yaml.CSafeDumper)
                    row = {
                        "apply": what,
                        "as": form,
                        "rules": RULES,
                        **await _applied(Deployment(values, directory), text),
                    }
                    print(json.dumps(row), flush=True)  # noqa: T201 - its result


async def _applied(deployment: Deployment, text: str) -> dict[str, float]:
    cpu, at = _children(), clock.monotonic()
    applied = await deployment.apply(text)
    assert applied.status == 0, applied.err
    took = {"seconds": round(clock.monotonic() - at, 2), "cpu_seconds": round(_children() - cpu, 2)}
    return took | {sign: applied.out.count(f"{sign} rule ") for sign in "+~="}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def main(wanted: list[str]) -> None:
    with account.scratch() as directory, choose.postgres_for_tests(Path(directory), lambda _: None) as server:
        async with new_template(server.url) as template:
            for name in sections(wanted, SECTIONS):
                await SECTIONS[name](server.url, template)


SECTIONS = {"edits": edits, "records": records, "apply": apply}

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
