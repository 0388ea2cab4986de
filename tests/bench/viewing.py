"""Viewing: deliveries a second of a process that serves the console too, without and with people who look at it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import median

import aiohttp

from consumer import clock
from tests.bench.delivering import EVENT, Receivers, configured, fill, receivers
from tests.bench.place import LOOK, Place, Process, service
from tests.support.service import Deployment

ROUNDS, EVERY = 5, 2.0  # the live view asks each 2 s
CHANNELS, DELIVERIES = 50, 40_000
TOKEN = "token-of-the-bench"


@dataclass(frozen=True, slots=True)
class Load:
    """How many look, and at what."""

    viewers: int
    page: str = "/events"

    @property
    def name(self) -> str:
        return f"delivering to {CHANNELS} channels while {self.viewers} look at {self.page}"


LOADS = [Load(20), Load(20, "/")]


async def measure(place: Place, load: Load) -> dict[str, object]:
    """Measure *load*: rounds with viewers beside rounds without, which come first or second in turns."""
    settings = {"TOLLBELL_API_TOKENS": f"default:read:{TOKEN}", "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0"}
    alone, viewed = list[float](), list[float]()
    asked = [0]
    async with receivers() as to, place.deployment(partitions=1, **settings) as deployment:
        ids = await configured(deployment, [to.url(n) for n in range(CHANNELS)])
        with service(deployment, "--only", "deliver,serve") as process:
            port = (await process.logged("http.listening"))["port"]
            for n in range(2 * ROUNDS):
                if n % 4 in {0, 3}:
                    alone.append(await sent(deployment, to, ids, n))
                else:
                    async with looking(port, load, asked):
                        viewed.append(await sent(deployment, to, ids, n))
            _no_errors(process)
    ratios = [one / other for one, other in zip(viewed, alone, strict=True)]
    return {
        "what": load.name,
        "rate": round(median(viewed)),
        "alone": round(median(alone)),
        "ratio": round(median(ratios), 3),
        "spread": f"{min(ratios):.2f} to {max(ratios):.2f}",
        "asked": asked[0],
    }


def _no_errors(process: Process) -> None:
    assert not process.lines("loop.failed"), process.lines("loop.failed")[0]


async def sent(deployment: Deployment, to: Receivers, channels: list[str], turn: int) -> float:
    """Make deliveries due; return how many a second arrived, once all have."""
    await fill(deployment, channels, DELIVERIES, turn, EVENT)
    times = list[float]()
    async with asyncio.timeout(300):
        while len(times) < DELIVERIES:
            times += [at for _, at in await to.arrivals()]
            await clock.wait(asyncio.Event(), LOOK * 10)
    return (DELIVERIES - 1) / (max(times) - min(times))


@contextlib.asynccontextmanager
async def looking(port: int, load: Load, asked: list[int]) -> AsyncIterator[None]:
    """Have people look at the page within it, each at a moment of their own; count in *asked* what they asked for."""
    jar = aiohttp.CookieJar(unsafe=True)  # of an address, not of a name
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=jar) as session:
        form, site = {"token": TOKEN, "next": "/"}, {"Sec-Fetch-Site": "same-origin"}
        async with session.post("/sign-in", data=form, headers=site) as answer:
            assert answer.status == 200, await answer.text()
        people = [
            asyncio.create_task(_look(session, load.page, n * EVERY / load.viewers, asked)) for n in range(load.viewers)
        ]
        try:
            yield
        finally:
            for one in people:
                one.cancel()
            ended = await asyncio.gather(*people, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}, ended


async def _look(session: aiohttp.ClientSession, page: str, begin: float, asked: list[int]) -> None:
    await clock.wait(asyncio.Event(), begin)
    tag = ""
    while True:
        headers = {"Tollbell-Fragment": "live"} | ({"If-None-Match": tag} if tag else {})
        async with session.get(page, headers=headers) as answer:
            text = await answer.text()
            assert answer.status in {200, 304}, answer.status
            assert answer.status == 304 or re.search(r"<table|<section", text), text[:200]
            tag = answer.headers.get("ETag", "")
        asked[0] += 1
        await clock.wait(asyncio.Event(), EVERY)
