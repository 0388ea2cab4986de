"""One run of a case: a deployment of its own whose replicas reach the servers through proxies, and its ledger."""

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from consumer import clock, ids
from consumer.demo.servers.kafka import ApacheKafka
from consumer.demo.servers.postgres import Postgres
from consumer.demo.servers.topics import create_topics
from tests.conftest import producing
from tests.faults.proxy import Proxy, Trap
from tests.faults.wires import KafkaWire, PostgresWire
from tests.support.fakes import Received, Receiver
from tests.support.ledger import Ledger
from tests.support.places import new_database
from tests.support.service import Deployment, Replica, Topics, environment
from tests.support.stage import PARTITIONS, SETTINGS, Stage, staged
from tests.support.workload import Workload

SETTLE_SECONDS = 150
MOMENT_SECONDS = 40
RETRIES = {
    "TOLLBELL_RETRY_SCHEDULE": "0s,100ms,500ms,1s,1s,1s,1s,1s",
    "TOLLBELL_DELIVERY_BREAKER_FAILURES": "100000",
}


@dataclass(frozen=True, slots=True)
class Servers:
    """What all runs share: the servers themselves, the ports of the proxies before Kafka, a migrated database."""

    kafka: ApacheKafka
    postgres: Postgres
    ports: list[int]
    template: str


@dataclass
class Slot:
    """Where a replica runs: its two proxies are its own."""

    kafka: Proxy
    postgres: Proxy
    replica: Replica | None = None

    @property
    def proxies(self) -> tuple[Proxy, Proxy]:
        return self.kafka, self.postgres

    def trap(self, moment: str, nth: int = 1) -> Trap:
        """Hold *moment* when it comes for the *nth* time."""
        of_kafka = moment.startswith(("fetch", "commit"))
        return (self.kafka if of_kafka else self.postgres).set(Trap(moment, nth))


@dataclass
class Run:
    """What a case breaks, and how it goes on.

    Attributes:
        slots: for replicas, empty at first.
        back_at: when what was broken was whole again, or another took its place: monotonic seconds.
        left_behind: when a replica died, or got SIGTERM, and of which events deliveries were leased then.
    """

    stage: Stage
    slots: list[Slot]
    kafka: ApacheKafka
    postgres: Postgres
    dice: random.Random
    stack: AsyncExitStack
    parts: int = 6
    sent: int = 0
    back_at: list[float] = field(default_factory=list)
    started: list[Replica] = field(default_factory=list)
    left_behind: list[tuple[float, set[str]]] = field(default_factory=list)

    async def start(self, slot: Slot, **settings: str) -> Replica:
        """Start a replica in *slot*, with *settings* of its own; return when it has partitions."""
        for proxy in slot.proxies:
            proxy.mend()
        url = urlsplit(self.stage.deployment.environment["TOLLBELL_DATABASE_URL"])
        place = url.netloc.rpartition(":")[0]
        replica = await self.stage.deployment.replica(
            TOLLBELL_DATABASE_URL=url._replace(netloc=f"{place}:{slot.postgres.port}").geturl(),
            TOLLBELL_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{slot.kafka.port}",
            **settings,
        )
        slot.replica = await self.stack.enter_async_context(replica)
        self.started.append(slot.replica)
        return await slot.replica.ready()

    async def send(self, parts: int = 1) -> None:
        """Produce the next *parts* of the records; nothing where all are sent."""
        for _ in range(parts):
            if self.sent < self.parts:
                self.sent += 1
                await self.stage.send(self.sent - 1, self.parts)

    async def came(self, trap: Trap) -> None:
        """Send on until *trap* has sprung.

        Raises:
            TimeoutError: its moment does not come.
        """
        waiting = asyncio.create_task(trap.came.wait())
        try:
            async with asyncio.timeout(MOMENT_SECONDS):
                while not waiting.done():
                    await self.send()
                    await asyncio.wait({waiting}, timeout=0.5 if self.sent < self.parts else MOMENT_SECONDS)
        finally:
            waiting.cancel()

    async def die(self, slot: Slot) -> None:
        """Kill what runs in *slot*, at once; its connections end with it."""
        assert slot.replica is not None
        await slot.replica.dies()
        slot.replica = None
        for proxy in slot.proxies:
            proxy.cut()
        self.left_behind.append((clock.monotonic(), await self.stage.leased()))

    async def leave(self, slot: Slot) -> None:
        """SIGTERM what runs in *slot*; it ends in good order and holds nothing more."""
        assert slot.replica is not None
        self.left_behind.append((clock.monotonic(), await self.stage.leased()))
        assert await slot.replica.terminate() == 0
        slot.replica = None

    def signal(self, slot: Slot, number: signal.Signals) -> None:
        assert slot.replica is not None
        slot.replica.process.send_signal(number)

    def is_back(self) -> None:
        """Say that from now on nothing is in the way."""
        self.back_at.append(clock.monotonic())

    def takeover(self) -> float | None:
        """Return the longest from a replica's death, or SIGTERM, until another had sent what was leased then."""
        arrivals = [(request.headers["webhook-id"], request.at) for request in self.stage.receiver.requests]
        taken = [
            min((at - died for event, at in arrivals if event == one and at >= died), default=None)
            for died, events in self.left_behind
            for one in events
        ]
        return max((seconds for seconds in taken if seconds is not None), default=None)

    async def wait(self, seconds: float) -> None:
        """Let *seconds* pass with what is broken."""
        await clock.wait(asyncio.Event(), seconds)

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Do what blocks."""
        await asyncio.to_thread(work)

    def write_logs(self, path: Path) -> None:
        """Write what every replica has logged, one after the other."""
        lines = [json.dumps({"replica": n, **line}) for n, one in enumerate(self.started) for line in one.lines]
        path.write_text("\n".join(lines))

    def recovery(self) -> float | None:
        """Return the longest that it took from being back to the next webhook."""
        arrivals = [request.at for request in self.stage.receiver.requests]
        taken = [min((at - back for at in arrivals if at >= back), default=None) for back in self.back_at]
        return max((seconds for seconds in taken if seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    ledger: Ledger
    recovery: float | None
    takeover: float | None
    seconds: float


class _OneInFiveFails:
    """A receiver's answers: every fifth event's first webhook is refused, so that bytes are compared over retries."""

    def __init__(self) -> None:
        self._met: set[str] = set()

    def __call__(self, received: Received) -> int:
        event = received.headers["webhook-id"]
        is_first = event not in self._met
        self._met.add(event)
        return 503 if is_first and len(self._met) % 5 == 0 else 200


@contextlib.asynccontextmanager
async def running(
    servers: Servers, directory: Path, made: Sequence[Workload], *, seed: int, **more: str
) -> AsyncIterator[Run]:
    """Give a run with a database, topics and a receiver of its own; its processes are ended at the end.

    Args:
        made: the records that will flow, and the rules that are about them.
        more: settings of the replicas.
    """
    kafka, postgres = servers.kafka, servers.postgres
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(new_database(postgres.url, template=servers.template))
        receiver = await stack.enter_async_context(Receiver())
        receiver.otherwise(_OneInFiveFails())
        produce = await stack.enter_async_context(producing(kafka))
        names = {of: f"{of}-{ids.new().lower()}" for of in ("usage", "resets", "invoices", "dead-letters")}
        await create_topics(kafka, dict.fromkeys(names.values(), PARTITIONS), {})
        settings: dict[str, Any] = SETTINGS | RETRIES | more
        settings |= {"TOLLBELL_TOPICS_RESETS": names["resets"], "TOLLBELL_TOPICS_INVOICES": names["invoices"]}
        topics = Topics(usage=names["usage"], dead_letters=names["dead-letters"])
        deployment = Deployment(
            environment(database=database, bootstrap=kafka.bootstrap, topics=topics, **settings), directory
        )
        stage = await staged(deployment, kafka, receiver, produce, made)
        slots = []
        for n, port in enumerate(servers.ports):
            to_kafka = await stack.enter_async_context(Proxy(kafka.ports_behind[n], KafkaWire, port=port))
            to_postgres = Proxy(int(urlsplit(postgres.url).port or 0), PostgresWire)
            slots.append(Slot(to_kafka, await stack.enter_async_context(to_postgres)))
        yield Run(stage, slots, kafka, postgres, random.Random(seed), stack)


async def ended(run: Run, since: float) -> Outcome:
    """Send what is left, see that a replica runs, and return the ledger once everything has come to its end."""
    if all(slot.replica is None for slot in run.slots):
        await run.start(run.slots[0])
        run.is_back()
    await run.send(run.parts)
    try:
        await run.stage.settled(SETTLE_SECONDS)
        await run.stage.ends()
        rows = await run.stage.settled(SETTLE_SECONDS)
    except TimeoutError:
        rows = await run.stage.rows()
    return Outcome(run.stage.ledger(rows), run.recovery(), run.takeover(), clock.monotonic() - since)
