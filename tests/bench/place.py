"""Where a benchmark runs: real servers, a deployment of its own, the service in processes whose log is a file."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg
import psutil

from consumer import clock
from consumer.demo.servers import account, kafka, postgres
from consumer.demo.servers.topics import create_topics
from tests.support.places import new_database, new_template
from tests.support.service import ROOT, Deployment, Topics, environment

PARTITIONS = 8
LOOK = 0.02  # seconds between two looks at what is waited for


@dataclass(frozen=True, slots=True)
class Place:
    """Servers, a migrated database to copy, a directory."""

    bootstrap: str
    postgres: str
    template: str
    directory: Path

    @contextlib.asynccontextmanager
    async def deployment(self, partitions: int = PARTITIONS, **settings: str) -> AsyncIterator[Deployment]:
        """Give a deployment with a topic and a database of its own; the service's settings are its defaults."""
        async with new_database(self.postgres, template=self.template) as database:
            topics = Topics(usage=f"usage-{uuid.uuid4().hex}", dead_letters=f"dead-{uuid.uuid4().hex}")
            await create_topics(self, {topics.usage: partitions, topics.dead_letters: 1}, {})
            (directory := self.directory / topics.usage).mkdir()
            values = environment(
                database=database, bootstrap=self.bootstrap, topics=topics, TOLLBELL_LOG_LEVEL="info", **settings
            )
            yield Deployment(values, directory)


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """Start a Kafka and a Postgres with default durability."""
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(kafka.local(stack.enter_context(account.scratch())))
        database = stack.enter_context(postgres.embedded(stack.enter_context(account.scratch())))
        async with new_template(database.url) as template:
            yield Place(broker.bootstrap, database.url, template, stack.enter_context(account.scratch()))


def postgres_cpu() -> float:
    """Return the seconds that Postgres has used, of all its processes: those that ended, their parent has counted."""
    used = 0.0
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name() == "postgres":
                used += sum(one.cpu_times()[:4])
    return used


class Process:
    """A process of the service, or of the benchmark, that is measured from outside."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("TOLLBELL_")}
        self.log = log
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=ROOT, env=own | environment, stderr=said
            )
        self._seen = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    async def logged(self, event: str, seconds: float = 60) -> dict[str, Any]:
        """Return the first line called *event*, once it is there."""
        async with asyncio.timeout(seconds):
            while True:
                if found := self.lines(event):
                    return found[0]
                assert self._process.poll() is None, self.log.read_text()[-2000:]
                await clock.wait(asyncio.Event(), LOOK)

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines called *event* so far."""
        return [line for line in _lines(self.log) if line.get("event") == event]

    @property
    def cpu(self) -> float:
        """Seconds that it has used."""
        used = self._seen.cpu_times()
        return float(used.user + used.system)

    @property
    def memory(self) -> float:
        """MiB that it holds."""
        return float(self._seen.memory_info().rss / 2**20)

    def pause(self) -> None:
        """Let others have the machine."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


def service(deployment: Deployment, *arguments: str) -> Process:
    """Start `tollbell run`."""
    return Process(
        ["consumer", "run", *arguments], deployment.environment, deployment.directory / f"{uuid.uuid4().hex}.log"
    )


async def bare(*arguments: object) -> dict[str, float]:
    """Run a bare loop of `bare.py` in a process of its own; return what it measured."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.bare", *map(str, arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, arguments
    measured: dict[str, float] = json.loads(out)
    return measured


async def execute(url: str, statement: str, *arguments: object) -> None:
    """Run a statement of the benchmark's own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments, timeout=600)
    finally:
        await connection.close()


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for text in log.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(text)
