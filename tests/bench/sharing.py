"""What it costs where records of one entitlement come in two partitions of two replicas: `make bench ARGS=sharing`.

Two consumers take batches in turn, of the same records either way: each has its own entitlements, or both have all of
them. A record in fifty fires or recovers. Microseconds a record: of this process' CPU, and of Postgres'.
"""

import datetime as dt
import time

from consumer.consume.dead_letters import DeadLetter
from consumer.consume.ingest import Ingest
from consumer.consume.memory import Memory
from consumer.consume.rulebook import Rulebook
from consumer.metrics import Metrics
from consumer.store.database import Database
from tests.bench.place import Place, postgres_cpu
from tests.support.factories import NOW, kafka_record, native_record
from tests.support.one_rule import configure
from tests.support.places import new_database

ENTITLEMENTS, ROUNDS, BATCH = 1_000, 40, 500
KINDS = {"that looks back": {"rearm": "recovery", "notifyOn": ["triggered", "recovered"]}, "that does not": {}}


class NoLetters:
    """Where no dead letter comes."""

    async def send(self, letters: list[DeadLetter]) -> None:
        assert not letters


async def measure(place: Place, kind: str, *, is_shared: bool) -> dict[str, object]:
    """Measure two consumers under a rule of *kind*."""
    async with new_database(place.postgres, template=place.template) as url:
        database = await Database.connect(url, size=10)
        await configure(database, "hook", **KINDS[kind])
        consumers = [await _consumer(database) for _ in range(2)]
        await _rounds(consumers, range(2), is_shared=is_shared)  # first sights
        cpu, of_postgres = time.process_time(), postgres_cpu()
        await _rounds(consumers, range(2, ROUNDS), is_shared=is_shared)
        records = (ROUNDS - 2) * ENTITLEMENTS
        took, took_postgres = time.process_time() - cpu, postgres_cpu() - of_postgres
        await database.close()
    whose = "in two partitions" if is_shared else "each in one partition"
    costs = {"cpu_us": took, "postgres_us": took_postgres}
    return {"what": f"entitlements {whose}, a rule {kind}"} | {
        name: round(seconds / records * 1e6, 1) for name, seconds in costs.items()
    }


async def _consumer(database: Database) -> Ingest:
    rulebook = Rulebook(database, metrics := Metrics())
    await rulebook.refresh()
    return Ingest(
        database, Memory(database, limit=10_000), rulebook, NoLetters(), metrics, lambda: None, dt.timedelta(days=9999)
    )


async def _rounds(consumers: list[Ingest], rounds: range, *, is_shared: bool) -> None:
    for n in rounds:
        for half, consumer in enumerate(consumers):
            # Of its own: one half of the entitlements, always the same; shared: the halves change places each round.
            begin = (half + n * is_shared) % 2 * BATCH
            at = (NOW + dt.timedelta(seconds=n)).isoformat().replace("+00:00", "Z")
            await consumer.batch(
                [
                    kafka_record(native_record(_usage(of, n), entitlement=f"e{of}", calculated_at=at))
                    for of in range(begin, begin + BATCH)
                ]
            )


def _usage(of: int, n: int) -> int:
    """One in fifty goes up beyond its threshold, or back, at each round."""
    return 90 if (of + n) // 50 % 2 else 10
