"""A Prometheus that scrapes replicas twice a second and evaluates our alerts sixty times as fast."""

import contextlib
import http.client
import math
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from consumer import clock
from consumer.demo.servers import network
from consumer.demo.servers.process import Process
from tests.support import prometheus

FASTER = 60  # an alert that waits five minutes waits five seconds here
EVERY = 0.5  # seconds between two scrapes, and two evaluations: of a rate over 5 s, ten samples
START_LIMIT = timedelta(seconds=30)
_DURATION = re.compile(r"(\d+)([smhdw])")
_DURATIONS = re.compile(r"(?<=[\[:])\d+[smhdw]|(?<=offset )\d+[smhdw]")  # of a range, a subquery's step, an offset
_YOUNG = re.compile(r"(?<=process_start_time_seconds < )\d+")  # in seconds
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def sooner(duration: str) -> str:
    """Return a sixtieth of *duration*, both as Prometheus writes them."""
    found = _DURATION.fullmatch(duration)
    assert found, duration
    return f"{int(found[1]) * _SECONDS[found[2]] * 1000 // FASTER}ms"


def faster(rules: str) -> str:
    """Return the rules file *rules* with each duration divided by sixty: how long, over what, and when before."""
    file = yaml.safe_load(rules)
    for group in file["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _DURATIONS.sub(lambda found: sooner(found[0]), rule["expr"])
            rule["expr"] = _YOUNG.sub(lambda found: f"{int(found[0]) / FASTER:g}", rule["expr"])
            if "for" in rule:
                rule["for"] = sooner(rule["for"])
    return yaml.safe_dump(file)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    url: str

    async def ask(self, path: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the result of a query."""
        given = {name: str(value) for name, value in parameters.items()}
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v1/{path}", params=given) as answer:
            said = await answer.json()
        assert said["status"] == "success", said
        found: list[dict[str, Any]] = said["data"]["result"]
        return found

    async def values(self, expression: str, since: float, until: float | None = None) -> list[tuple[float, float]]:
        """Return when (Unix seconds) *expression* had which values, of all its series, without those that are NaN."""
        end = until or clock.now().timestamp()
        found = await self.ask("query_range", query=expression, start=since, end=end, step=EVERY)
        pairs = [(float(at), float(value)) for series in found for at, value in series["values"]]
        return sorted(pair for pair in pairs if not math.isnan(pair[1]))

    async def fired(self, since: float, until: float | None = None) -> dict[str, float]:
        """Return which alerts have fired in a time, and when each first did."""
        end = until or clock.now().timestamp()
        firing = 'ALERTS{alertstate="firing"}'
        found = await self.ask("query_range", query=firing, start=since, end=end, step=EVERY)
        first: dict[str, float] = {}
        for series in found:
            name, at = series["metric"]["alertname"], float(series["values"][0][0])
            first[name] = min(at, first.get(name, at))
        return first


@contextlib.asynccontextmanager
async def scraping(targets: Sequence[str], directory: Path) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes *targets* (host:port) with our rules for the body.

    Raises:
        Unavailable: there is none to be had, or it does not start.
    """
    (directory / "rules.yaml").write_text(faster(prometheus.RULES.read_text()))
    every = f"{round(EVERY * 1000)}ms"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "tollbell", "static_configs": [{"targets": list(targets)}]}],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = network.free_ports(1)
    listen = f"{network.LOOPBACK}:{port}"
    command = [
        prometheus.program("prometheus"),
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={listen}",
    ]
    process = Process("Prometheus", command, directory / "prometheus.log")
    try:
        process.wait_until(lambda: _is_ready(port), START_LIMIT)
        yield Prometheus(f"http://{listen}")
    finally:
        process.stop()


def _is_ready(port: int) -> bool:
    """Return whether it answers queries: it listens before that."""
    connection = http.client.HTTPConnection(network.LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
