"""Each process says every few seconds that it is there and how far it is: one row, for people who look at all."""

import contextlib
import os
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Final

from prometheus_client.samples import Sample

from consumer import loop
from consumer.errors import TollbellError
from consumer.metrics import Metrics
from consumer.store import replicas
from consumer.store.database import Database
from consumer.store.replicas import Partition, StoredReplica

EVERY: Final = 10.0  # seconds: three missing, and the process is reported as silent
LEAVE_SECONDS: Final = 1.0  # to say that it ends: it ends anyway
MOST_TEXT: Final = 500  # characters of why a check fails
MOST_CHECKS: Final = 50
LAG, LAG_SECONDS = "tollbell_consumer_lag", "tollbell_consumer_lag_seconds"
RECORDS, DEAD_LETTERS = "tollbell_records_total", "tollbell_dead_letters_total"
COUNTED: Final = (LAG, LAG_SECONDS, RECORDS, DEAD_LETTERS)


class Presence:
    """Says so, in the table `replica`."""

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        *,
        replica_id: str,
        version: str,
        roles: Collection[str],
        consumes: bool,
        failing: Callable[[], Mapping[str, str]],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._id = replica_id
        self._version = version
        self._roles = sorted(roles)
        self._consumes = consumes
        self._failing = failing

    async def run(self) -> None:
        """Say it every few seconds, the first time now."""
        await loop.every(self.once, EVERY, name="replica")

    async def once(self) -> None:
        """Say it.

        Raises:
            StoreUnavailable: Postgres cannot be reached; the next time is soon.
        """
        await replicas.write(self._database, self._now())

    async def leave(self) -> None:
        """Take it back: the process ends as it should. Where Postgres does not answer, it is seen to be silent."""
        await loop.within(self._leave(), LEAVE_SECONDS)

    async def _leave(self) -> None:
        with contextlib.suppress(TollbellError):
            await replicas.leave(self._database, self._id)

    def _now(self) -> StoredReplica:
        counted = self._counted()
        failing = list(self._failing().items())[:MOST_CHECKS]
        return StoredReplica(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=self._version,
            roles=self._roles,
            failing={name: why[:MOST_TEXT].replace("\0", "") for name, why in failing},
            partitions=_partitions(counted) if self._consumes else None,
            records=sum(int(one.value) for one in counted[RECORDS]) if self._consumes else None,
            dead_letters=_dead_letters(counted) if self._consumes else None,
        )

    def _counted(self) -> Mapping[str, list[Sample]]:
        """Return the samples of what this process counts, by name: as a scrape would see them now."""
        found: dict[str, list[Sample]] = {name: [] for name in COUNTED}
        for family in self._metrics.registry.restricted_registry(COUNTED).collect():
            for one in family.samples:
                found[one.name].append(one)
        return found


def _partitions(counted: Mapping[str, list[Sample]]) -> list[Partition]:
    seconds = {(one.labels["topic"], one.labels["partition"]): one.value for one in counted[LAG_SECONDS]}
    places = [(one.labels["topic"], one.labels["partition"], int(one.value)) for one in counted[LAG]]
    return [Partition(topic, int(n), lag, seconds.get((topic, n))) for topic, n, lag in places]


def _dead_letters(counted: Mapping[str, list[Sample]]) -> dict[str, int]:
    return {one.labels["reason"]: int(one.value) for one in counted[DEAD_LETTERS] if one.value}
