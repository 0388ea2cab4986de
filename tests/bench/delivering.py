"""Delivering: deliveries a second of what is due, beside bare POST loops with the same bodies and concurrency."""

import asyncio
import contextlib
import datetime as dt
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from consumer import clock
from consumer.formats.preview import samples
from consumer.store.intervals import lowest_id
from schemas.rules import RuleType
from tests.bench.bare import BODY
from tests.bench.place import LOOK, Place, bare, execute, postgres_cpu, service
from tests.bench.rules import hook
from tests.support.service import ROOT, Deployment
from tests.support.webhooks import Authority

ROUNDS = 5
IN_FLIGHT, OF_A_CHANNEL = 500, 8  # the service's defaults
SLOW = 0.2  # seconds
EVENT = dict(samples(dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)))[RuleType.BALANCE_THRESHOLD]
FORMATS: dict[str, dict[str, object]] = {
    "slack": {"format": "slack", "rateLimit": 10_000},
    "template": {
        "format": "template",
        "template": {
            "To": "{{ data.customer.key }}@example.com",
            "Subject": "{{ message.title }}",
            "TextBody": "{{ message.text }}",
            "Usage": "{{ data.value.usage }}",
        },
    },
}
EVENTS = """
    INSERT INTO event (id, namespace, rule_id, type, action, payload, occurred_at, recorded_at)
    SELECT $1::text || lpad(n::text, 16, '0'), 'default', 'r', 'entitlements.balance.threshold', 'triggered', $2,
           now(), now()
    FROM generate_series(1, $3) n
"""
DELIVERIES = """
    INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
    SELECT $1::text || lpad(n::text, 16, '0'), ($3::text[])[n % cardinality($3::text[]) + 1], 'default', 'PENDING',
           clock_timestamp()
    FROM generate_series(1, $2) n
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How many deliveries are due, to how many channels."""

    channels: int
    deliveries: int
    delay: float = 0
    is_tls: bool = False
    fmt: str = ""  # of a real event; else a body of 1 KB, in the default format

    @property
    def name(self) -> str:
        how = ", over TLS" if self.is_tls else f", an event as {self.fmt}" if self.fmt else ""
        slow = f" that take {self.delay * 1000:.0f} ms" if self.delay else ""
        return f"delivering to {self.channels} channels{how}{slow}"

    @property
    def in_flight(self) -> int:
        return min(self.channels * OF_A_CHANNEL, IN_FLIGHT)


LOADS = [
    Load(1, 5_000),
    Load(50, 20_000),
    Load(1000, 20_000),
    Load(50, 20_000, is_tls=True),
    Load(50, 10_000, fmt="openmeter"),
    Load(50, 10_000, fmt="slack"),
    Load(50, 10_000, fmt="template"),
    Load(50, 10_000, delay=SLOW),
    Load(1000, 10_000, delay=SLOW),
]


class Receivers:
    """The receivers' process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, scheme: str) -> None:
        self._process = process
        self.port = port
        self._scheme = scheme

    def url(self, n: int, path: str = "/hook") -> str:
        """Return a URL of the *n*th host; over TLS there is one, which the certificate names."""
        host = "127.0.0.1" if self._scheme == "https" else f"127.0.{n // 250}.{n % 250 + 1}"
        return f"{self._scheme}://{host}:{self.port}{path}"

    async def arrivals(self) -> list[tuple[str, float]]:
        """Return what has come since the last time: webhook-id, monotonic seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"report\n")
        return [(event, at) for event, at in json.loads(await self._process.stdout.readline())]


@contextlib.asynccontextmanager
async def receivers(delay: float = 0, *, certificate: Path | None = None) -> AsyncIterator[Receivers]:
    """Start one; with a *certificate* (and its key in the same file) it speaks TLS."""
    arguments = ["-m", "tests.bench.receivers", str(delay), *([str(certificate)] if certificate else [])]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, limit=2**28
    )
    assert process.stdout is not None
    try:
        yield Receivers(process, int(await process.stdout.readline()), "https" if certificate else "http")
    finally:
        process.kill()
        await process.wait()


async def configured(deployment: Deployment, urls: list[str], fmt: str = "", **more: object) -> list[str]:
    """Apply a channel for each of *urls*; return their ids, in order."""
    channels = [hook(f"hook-{n}", url) | FORMATS.get(fmt, {}) | more for n, url in enumerate(urls)]
    applied = await deployment.apply(json.dumps({"namespace": "default", "channels": channels, "rules": []}))
    assert applied.status == 0, applied.err
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    try:
        found = await connection.fetch("SELECT id FROM channel ORDER BY substr(key, 6)::int")
    finally:
        await connection.close()
    return [row["id"] for row in found]


async def measure(place: Place, load: Load) -> dict[str, object]:
    """Measure *load*."""
    authority = Authority(place.directory)
    authority.server()
    certificate = place.directory / "server.pem" if load.is_tls else None
    more = {"TOLLBELL_DELIVERY_CA_FILE": str(authority.file)} if load.is_tls else {}
    ours: list[dict[str, float]] = []
    floor: list[dict[str, float]] = []
    lowest: list[dict[str, float]] = []
    async with (
        receivers(load.delay, certificate=certificate) as to,
        place.deployment(partitions=1, **more) as deployment,
    ):
        urls = [to.url(n) for n in range(load.channels)]
        ids = await configured(deployment, urls, load.fmt)
        for n in range(ROUNDS):
            await fill(deployment, ids, load.deliveries, n, EVENT if load.fmt else BODY)
            ours.append(await drained(deployment, to, load.deliveries))
            ca_file = authority.file if load.is_tls else "-"
            floor.append(await bare("post", load.deliveries, load.in_flight, ca_file, *urls))
            lowest.append(await bare("raw", load.deliveries, load.in_flight, ca_file, *urls))
            await to.arrivals()
    ideal = load.in_flight / load.delay if load.delay else None
    ratios = [one["rate"] / (ideal or other["rate"]) for one, other in zip(ours, floor, strict=True)]
    return {
        "what": load.name,
        "rate": round(median(one["rate"] for one in ours)),
        "bare": round(ideal or median(one["rate"] for one in floor)),
        "ratio": round(median(ratios), 3),
        "spread": f"{min(ratios):.2f} to {max(ratios):.2f}",
        "cpu_us": round(median(one["cpu_us"] for one in ours), 1),
        "bare_cpu_us": round(median(one["cpu_us"] for one in floor), 1),
        "raw": round(median(one["rate"] for one in lowest)),
        "raw_cpu_us": round(median(one["cpu_us"] for one in lowest), 1),
        "postgres_us": round(median(one["postgres_us"] for one in ours), 1),
        "memory_mib": round(max(one["memory"] for one in ours)),
    }


async def fill(deployment: Deployment, channels: list[str], count: int, turn: int, payload: bytes = BODY) -> None:
    """Make *count* deliveries due now, of an event each."""
    url = deployment.environment["TOLLBELL_DATABASE_URL"]
    begin = f"{lowest_id(clock.now())[:9]}{turn}"
    await execute(url, EVENTS, begin, payload, count)
    await execute(url, DELIVERIES, begin, count, channels)
    await execute(url, "ANALYZE delivery")


async def drained(deployment: Deployment, to: Receivers, count: int) -> dict[str, float]:
    """Start a deliverer; return its rate from the first arrival to the last, once all are recorded."""
    with service(deployment, "--only", "deliver") as process:
        await process.logged("app.started")
        cpu, of_postgres = process.cpu, postgres_cpu()
        connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
        try:
            async with asyncio.timeout(300):
                while await connection.fetchval("SELECT EXISTS (SELECT 1 FROM delivery WHERE due_at IS NOT NULL)"):
                    await clock.wait(asyncio.Event(), LOOK * 5)
        finally:
            await connection.close()
        cpu, of_postgres = process.cpu - cpu, postgres_cpu() - of_postgres
        times = sorted(at for _, at in await to.arrivals())
        assert len(times) == count
        return {
            "rate": (count - 1) / (times[-1] - times[0]),
            "cpu_us": cpu / count * 1e6,
            "postgres_us": of_postgres / count * 1e6,
            "memory": process.memory,
        }
