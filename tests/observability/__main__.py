"""`make observability`: what an on-call engineer sees, tried on a real Prometheus.

Two replicas play the demo's story; then records trickle to a channel that works and one whose receiver is broken, and
Kafka is stopped for a minute. A real Prometheus scrapes them, with the alerts of deploy/prometheus sixty times as fast.

Status 1 where a panel of the dashboards has no data, where in the story another alert fires than that for its one dead
letter, or in the faults others than NotReady, LagSeconds and ChannelFailing. About three minutes.
"""

import asyncio
import contextlib
import logging
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from consumer import clock, errors
from tests.observability.scraping import EVERY, FASTER, Prometheus, scraping
from tests.observability.staging import Stage, staged
from tests.support.panels import GRAFANA, queries

STORY = {"TollbellDeadLetters"}  # of the one record that is not understood
# The story's receiver is busy once, for half a second. Each replica looks for failing channels every 5 s in its own
# time: the two show it for up to 10 s, and five minutes are 5 s here.
MAYBE = {"TollbellChannelFailing"}
FAULTS = {"TollbellNotReady", "TollbellLagSeconds", "TollbellChannelFailing"}
OUTAGE = 60.0  # seconds for which Kafka is stopped
CALM = 12.0  # seconds after which the windows of ten minutes, a sixtieth here, have passed
BACK = 60.0  # seconds, at most, until all is well after the outage
FAILING = 'sum(tollbell_channel_failing{channel_id!=""}) > 0'
UNREADY = 'sum(1 - tollbell_ready{check="consume"}) > 1'
UNKNOWN = "absent(tollbell_consumer_lag_seconds)"


@dataclass
class Report:
    """What was seen; *wrong*: what must not be."""

    wrong: list[str] = field(default_factory=list)

    def say(self, what: str, value: object) -> None:
        print(f"{what:64}{value}", flush=True)

    def check(self, what: str, found: object, wanted: object) -> None:
        self.say(what, found)
        if found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")


async def until(prometheus: Prometheus, expression: str, since: float, seconds: float) -> float | None:
    """Return after how many seconds *expression* first had a value since *since*; None: not within *seconds*."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if found := await prometheus.values(expression, since):
                    return round(found[0][0] - since, 1)
                await clock.wait(asyncio.Event(), EVERY)
    return None


@contextlib.asynccontextmanager
async def trickling(stage: Stage) -> AsyncIterator[None]:
    flow = asyncio.create_task(stage.trickle(), name="trickle")
    try:
        yield
    finally:
        flow.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flow


async def play(stage: Stage, prometheus: Prometheus, report: Report) -> None:
    began = clock.now().timestamp()
    await stage.play()
    for one in stage.services:  # for the panel of the API
        url = one.metrics_url.replace("/metrics", "/api/v1/notification/rules")
        headers = {"Authorization": f"Bearer {stage.place.api_token.reveal()}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
            assert answer.status == 200, await answer.text()
    report.say("the story's records, events, 2xx, retries, dead letters", await stage.counts())
    await clock.wait(asyncio.Event(), CALM)
    report.check("alerts in the story", set(await prometheus.fired(began)) - MAYBE, STORY)


async def break_down(stage: Stage, prometheus: Prometheus, report: Report) -> None:
    began = clock.now().timestamp()
    stage.is_flowing = True
    report.say("channel_failing shown after a receiver breaks, s", await until(prometheus, FAILING, began, 30))
    await clock.wait(asyncio.Event(), CALM)  # some traffic, for rates
    stage.is_flowing = False
    await clock.wait(asyncio.Event(), 1)  # what was produced is read
    stopped = clock.now().timestamp()
    await asyncio.to_thread(stage.kafka.stop)
    report.say(
        "ready{check=consume} 0 in both replicas after Kafka stops, s", await until(prometheus, UNREADY, stopped, 30)
    )
    report.say("lag absent after Kafka stops, s", await until(prometheus, UNKNOWN, stopped, 30))
    await clock.wait(asyncio.Event(), stopped + OUTAGE - clock.now().timestamp())
    started = clock.now().timestamp()
    await asyncio.to_thread(stage.kafka.start)
    report.say("ready again after Kafka is back, s", await until(prometheus, "min(tollbell_ready) == 1", started, BACK))
    stage.is_flowing = True
    await clock.wait(asyncio.Event(), CALM)
    fired = await prometheus.fired(began)
    report.check("alerts in the faults", set(fired), FAULTS)
    for name, since in (
        ("TollbellChannelFailing", began),
        ("TollbellNotReady", stopped),
        ("TollbellLagSeconds", stopped),
    ):
        if name in fired:
            report.say(f"{name} fires after, s (with its windows a {FASTER}th)", round(fired[name] - since, 1))
    still = set(await prometheus.fired(clock.now().timestamp() - EVERY)) - {"TollbellChannelFailing"}
    report.check("alerts that still fire when Kafka is back", still, set())


async def panels(prometheus: Prometheus, report: Report, since: float) -> None:
    """See that each query of each panel has had data."""
    empty, asked = [], 0
    for file in sorted(GRAFANA.glob("*.json")):
        for title, query in queries(file):
            asked += 1
            expression = query["expr"].replace("$__rate_interval", "10s").replace('"$job"', '".+"')
            if not await prometheus.values(expression.replace('"$instance"', '".+"'), since):
                empty.append(f"{file.stem}: {title}: {query['expr']}")
    report.say("queries of panels", asked)
    report.check("queries without data", empty, [])


async def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own producer, while Kafka is stopped
    report = Report()
    with tempfile.TemporaryDirectory(prefix="tollbell-observability-") as name:
        (place := Path(name, "prometheus")).mkdir()
        (service := Path(name, "tollbell")).mkdir()
        async with staged(service) as stage:
            targets = [one.metrics_url.split("/")[2] for one in stage.services]
            async with scraping(targets, place) as prometheus, trickling(stage):
                began = clock.now().timestamp()
                await until(prometheus, "sum(up) == 2", began, 30)
                await play(stage, prometheus, report)
                await break_down(stage, prometheus, report)
                await panels(prometheus, report, began)
    for line in report.wrong:
        print(f"WRONG: {line}", flush=True)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except errors.Unavailable as exc:
        sys.exit(f"make observability: {exc}")
