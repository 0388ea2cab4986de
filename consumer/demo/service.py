"""Tollbell as its users run it: the command, in processes of their own, with an environment of their own."""

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from consumer import errors
from consumer.demo.ending import Counts
from consumer.demo.servers.process import TAIL_LINES, WATCHDOG

COMMAND_LIMIT: Final = timedelta(seconds=60)
LINE_LIMIT: Final = timedelta(seconds=30)
STOP_LIMIT: Final = timedelta(seconds=30)  # beyond the drain's own limit; then it is killed
COMMAND: Final = (sys.executable, "-m", "consumer")
LINE_BYTES: Final = 2**20  # a log line with a traceback is far below
PIPE: Final = asyncio.subprocess.PIPE

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TollbellCommands:
    """The commands, with *settings* for their environment, in *directory*."""

    settings: Mapping[str, str]
    directory: Path

    async def command(self, *arguments: str) -> list[str]:
        """Run a command to its end; return the lines it printed.

        Raises:
            Refused: it failed; the message has what it said.
            Unavailable: it took too long.
        """
        process = await self.start(*arguments, stdout=PIPE)
        try:
            async with asyncio.timeout(COMMAND_LIMIT.total_seconds()):
                out, err = await process.communicate()
        except TimeoutError:
            raise errors.Unavailable(
                f"tollbell {arguments[0]} did not end within {COMMAND_LIMIT.total_seconds():g} s"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = err.decode(errors="replace").strip().removeprefix("tollbell: ")
            raise errors.Refused(f"{arguments[0]}: {said or 'it failed, and said nothing'}")
        return out.decode(errors="replace").splitlines()

    async def start(self, *arguments: str, stdout: int | None = None) -> asyncio.subprocess.Process:
        """Start a command in a session of its own: Ctrl-C on the terminal leaves it to us to end it."""
        # Without the settings that a person may have here for another Tollbell.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TOLLBELL_")}
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            cwd=self.directory,
            env=environment | dict(self.settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=PIPE,
            limit=LINE_BYTES,
            start_new_session=True,
        )


class Service:
    """A running `tollbell run`. Its log, a JSON line each, is how we know what it does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[Line] = []
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._grew = asyncio.Condition()
        self._has_ended = False
        self._address = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def tail(self) -> str:
        """The last lines of its log, for an error message."""
        return "\n".join(self._tail) or "(its log is empty)"

    @property
    def url(self) -> str:
        """Where its console is, and below that its API and metrics, once it is ready."""
        return f"http://{self._address}/"

    @property
    def metrics_url(self) -> str:
        """Where its metrics are, once it is ready."""
        return f"{self.url}metrics"

    async def read(self) -> None:
        """Read its log until it ends."""
        if self._process.stderr:
            async for raw in self._process.stderr:
                self._tail.append(raw.decode(errors="replace").rstrip())
                with contextlib.suppress(ValueError):
                    await self._publish(json.loads(raw))
        self._has_ended = True
        await self._publish()

    async def line(self, event: str, **fields: object) -> Line:
        """Return the first log line called *event* with these *fields*, now or when it comes.

        Raises:
            Unavailable: it did not come in time, or the service has ended; the message has the end of its log.
        """

        def found() -> Line | None:
            wanted = {"event": event, **fields}.items()
            return next((line for line in self._lines if wanted <= line.items()), None)

        with self.explained(f"the service's log line {event}"):
            async with asyncio.timeout(LINE_LIMIT.total_seconds()), self._grew:
                await self._grew.wait_for(lambda: found() or self._has_ended)
        line = found()
        if line is None:
            raise errors.Unavailable(f"the service ended before its log line {event}; the last ones:\n{self.tail}")
        return line

    def lines(self, event: str) -> list[Line]:
        """Return its log lines called *event* so far."""
        return [line for line in self._lines if line["event"] == event]

    async def follow(self) -> AsyncIterator[Line]:
        """Give each log line from now on, as it comes, until the service ends."""
        self._lines.clear()
        while not (self._has_ended and not self._lines):
            async with self._grew:
                await self._grew.wait_for(lambda: self._lines or self._has_ended)
                lines, self._lines = self._lines, []
            for line in lines:
                yield line

    @contextlib.contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Say that *what* was waited for where the body times out.

        Raises:
            Unavailable: it did; the message has the end of the service's log.
        """
        try:
            yield
        except TimeoutError:
            raise errors.Unavailable(
                f"waited {LINE_LIMIT.total_seconds():g} s for {what}; the last lines of the service's log:\n{self.tail}"
            ) from None

    async def ready(self) -> None:
        """Return when it has its partitions.

        Raises:
            Unavailable: it has not in time, or has ended.
        """
        listening = await self.line("http.listening")
        self._address = f"{listening['host']}:{listening['port']}"
        await self.line("partitions.assigned")

    async def counts(self) -> Counts:
        """Return what it counted so far."""
        async with aiohttp.ClientSession() as session, session.get(self.metrics_url) as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        succeeded = _sum(families, "tollbell_attempts_total", outcome="success")
        return Counts(
            records=_sum(families, "tollbell_records_total"),
            events=_sum(families, "tollbell_events_total"),
            deliveries=succeeded,
            retries=_sum(families, "tollbell_attempts_total") - succeeded,
            dead_letters=_sum(families, "tollbell_dead_letters_total"),
        )

    async def stop(self) -> None:
        """Let it drain, and return when it has ended; killed where that takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _publish(self, *lines: Line) -> None:
        async with self._grew:
            self._lines.extend(lines)
            self._grew.notify_all()


@contextlib.asynccontextmanager
async def running(tollbell: TollbellCommands) -> AsyncIterator[Service]:
    """Run the service for the body; it drains at the end, and dies with us however we die."""
    process = await tollbell.start("run")
    service = Service(process)
    reading = asyncio.create_task(service.read(), name="service-log")
    try:
        async with _watchdog(process.pid):
            yield service
    finally:
        await service.stop()
        await reading


@contextlib.asynccontextmanager
async def _watchdog(pid: int) -> AsyncIterator[None]:
    watchdog = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", WATCHDOG, "watchdog", str(pid), stdin=PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        watchdog.kill()
        await watchdog.wait()


def _sum(families: list[Metric], name: str, **labels: str) -> int:
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return round(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))
