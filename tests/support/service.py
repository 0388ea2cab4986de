"""The service as its users run it: the command, in processes of its own, with an environment of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from consumer import clock, encryption
from tests.support.forks import Command, Forks

ROOT = Path(__file__).parents[2]
Line = dict[str, Any]
forks: Forks | None = None  # pytest's (conftest.py); the fault cases, the soak and the bench start real processes


@dataclass(slots=True)
class Finished:
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass(slots=True)
class Deployment:
    """Settings that its processes share: a database, topics, a key."""

    environment: dict[str, str]
    directory: Path

    async def tollbell(self, *arguments: str, given: str | None = None, **environment: str) -> Finished:
        """Run a command to its end; *given* is its standard input."""
        if forks is not None and arguments[:1] != ("demo",):
            forked = await forks.start(arguments, self._own(environment), ROOT, given)
            out, err = await asyncio.gather(forked.stdout.read(), forked.stderr.read())
            return Finished(await forked.wait(), out.decode(), err.decode())
        process = await self._start(*arguments, stdin=given is not None, stdout=asyncio.subprocess.PIPE, **environment)
        out, err = await process.communicate(None if given is None else given.encode())
        return Finished(process.returncode or 0, out.decode(), err.decode())

    async def apply(self, rules: str, *arguments: str, **environment: str) -> Finished:
        """Run `tollbell apply` on a file with the text *rules*; secrets that it makes are in a file beside that."""
        path = self.directory / uuid.uuid4().hex / "rules.yaml"
        path.parent.mkdir()
        path.write_text(rules)
        secrets = str(path.with_name("secrets.json"))
        return await self.tollbell("apply", str(path), "--secrets-file", secrets, *arguments, **environment)

    async def replica(self, *arguments: str, **environment: str) -> "Replica":
        """Start `tollbell run`; use the result as an async context manager."""
        if forks is not None:
            return Replica(await forks.start(("run", *arguments), self._own(environment), ROOT, None))
        return Replica(await self._start("run", *arguments, **environment))

    def _own(self, more: dict[str, str]) -> dict[str, str]:
        usual = {name: value for name, value in os.environ.items() if not name.startswith("TOLLBELL_")}
        return usual | self.environment | more

    async def _start(
        self, *arguments: str, stdin: bool = False, stdout: int | None = None, **environment: str
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "consumer",
            *arguments,
            cwd=ROOT,
            env=self._own(environment),
            stdin=asyncio.subprocess.PIPE if stdin else None,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            limit=2**24,
        )


class Replica:
    """A running `tollbell run`; its log lines are read as they come."""

    def __init__(self, process: Command) -> None:
        self.process = process
        self.lines: list[Line] = []
        self._grew = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(), name="replica-log")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"event": "not json", "text": raw.decode(errors="replace")}
            async with self._grew:
                self.lines.append(line)
                self._grew.notify_all()
        async with self._grew:
            self._grew.notify_all()

    async def logged(self, event: str, count: int = 1, seconds: float = 60, **fields: object) -> list[Line]:
        """Return the lines called *event* with *fields*, once there are *count*."""
        return await self.until(
            lambda: [x for x in self.lines if x["event"] == event and fields.items() <= x.items()], count, seconds
        )

    async def until(self, found: Callable[[], list[Line]], count: int, seconds: float) -> list[Line]:
        async with asyncio.timeout(seconds), self._grew:
            await self._grew.wait_for(lambda: len(found()) >= count or self._reading.done())
        assert len(found()) >= count, self.lines[-5:]
        return found()

    async def serves(self, rules: int) -> None:
        """Return once the newest rules that it has loaded are *rules* many, whatever it had before."""
        await self.until(
            lambda: [x for x in [y for y in self.lines if y["event"] == "catalog.loaded"][-1:] if x["rules"] == rules],
            1,
            seconds=60,
        )

    async def ready(self) -> Self:
        """Return once it has started, and has partitions where it consumes."""
        if "consume" in (await self.logged("app.started"))[0]["roles"]:
            await self.logged("partitions.assigned")
        return self

    async def readyz(self, status: int, seconds: float = 30) -> None:
        """Return once /readyz answers *status*."""
        async with asyncio.timeout(seconds):
            while (await self.http("/readyz"))[0] != status:
                await clock.wait(asyncio.Event(), 0.1)

    async def http(self, path: str) -> tuple[int, str]:
        """GET a path of the process' own HTTP server."""
        port = (await self.logged("http.listening"))[0]["port"]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """Return a sample of /metrics; fails where the series does not exist."""
        found = await self.sample(name, **labels)
        assert found is not None, f"no series {name}{labels}"
        return found

    async def sample(self, name: str, **labels: str) -> float | None:
        """Return a sample of /metrics; None where the series does not exist."""
        _, text = await self.http("/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    async def reaches(self, name: str, least: float, seconds: float = 60, **labels: str) -> None:
        """Return once a sample of /metrics is at least *least*."""
        async with asyncio.timeout(seconds):
            while (found := await self.sample(name, **labels)) is None or found < least:
                await clock.wait(asyncio.Event(), 0.05)

    async def terminate(self, seconds: float = 40) -> int:
        """Send SIGTERM and return the status, once all its lines are there."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds):
            status = await self.process.wait()
            await asyncio.wait({self._reading})
            return status

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()

    async def dies(self) -> None:
        """Send SIGKILL, and return when it is gone."""
        self.kill()
        await self.process.wait()


@dataclass(slots=True)
class Topics:
    """The topics of one deployment."""

    usage: str
    dead_letters: str


def environment(*, database: str, bootstrap: str, topics: Topics, **more: str) -> dict[str, str]:
    """Return the settings of a deployment that delivers to this machine."""
    return {
        "TOLLBELL_DATABASE_URL": database,
        "TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TOLLBELL_KAFKA_GROUP_ID": topics.usage,
        "TOLLBELL_KAFKA_START": "earliest",
        "TOLLBELL_TOPICS_USAGE": topics.usage,
        "TOLLBELL_TOPICS_RESETS": topics.usage,
        "TOLLBELL_TOPICS_INVOICES": topics.usage,
        "TOLLBELL_TOPIC_DEAD_LETTERS": topics.dead_letters,
        "TOLLBELL_ENCRYPTION_KEYS": encryption.new_key(),
        "TOLLBELL_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",
        "TOLLBELL_LOG_FORMAT": "json",
        "TOLLBELL_LOG_LEVEL": "info",
        **more,
    }
