"""What is broken during a soak, each for less than a minute: it ends with everything whole again.

One replica is never killed: its memory is watched. The others are victims.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial

from consumer import clock
from consumer.demo.servers.contracts import Server
from tests.faults.cases import MOMENTS
from tests.faults.run import Run, Slot
from tests.support.fakes import Received

AWAY = 20.0  # seconds: longer than a session of the group and a lease
SHORT = 8.0  # seconds: shorter than the retry schedule
Strike = Callable[[Run, Slot], Awaitable[None]]


async def killed(run: Run, victim: Slot) -> None:
    await run.die(victim)
    await run.start(victim)


async def killed_at_a_moment(run: Run, victim: Slot) -> None:
    trap = victim.trap(run.dice.choice(MOMENTS))
    await clock.wait(trap.came, SHORT)  # where it has no partitions, no moment of theirs comes
    await run.die(victim)
    await run.start(victim)


async def replaced(run: Run, victim: Slot) -> None:
    await run.leave(victim)
    await run.start(victim)


async def paused(run: Run, victim: Slot) -> None:
    run.signal(victim, signal.SIGSTOP)
    await run.wait(AWAY)
    run.signal(victim, signal.SIGCONT)


async def restarted(run: Run, _: Slot, *, of: str, kill: bool = False, away: float = 0) -> None:
    server: Server = getattr(run, of)
    await run.in_thread(server.kill if kill else server.stop)
    await run.wait(away)
    await run.in_thread(server.start)


async def half_open(run: Run, victim: Slot) -> None:
    for proxy in victim.proxies:
        proxy.freeze()
    await run.wait(AWAY)
    for proxy in victim.proxies:
        proxy.cut()
        proxy.mend()


async def slow(run: Run, _: Slot) -> None:
    proxies = [proxy for slot in run.slots for proxy in slot.proxies]
    for proxy in proxies:
        proxy.delay = 0.03
    await run.wait(AWAY)
    for proxy in proxies:
        proxy.delay = 0


async def receiver_refuses(run: Run, _: Slot) -> None:
    run.stage.receiver.otherwise(503)
    await run.wait(SHORT)
    run.stage.receiver.otherwise(200)


async def receiver_hangs(run: Run, _: Slot) -> None:
    run.stage.receiver.otherwise(_never)
    await run.wait(SHORT)
    run.stage.receiver.otherwise(200)


async def _never(_: Received) -> int:
    await asyncio.Event().wait()
    return 200


STRIKES: dict[str, Strike] = {
    "killed": killed,
    "killed at a moment": killed_at_a_moment,
    "replaced": replaced,
    "paused": paused,
    "Kafka restarted": partial(restarted, of="kafka"),
    "Kafka killed": partial(restarted, of="kafka", kill=True),
    "Kafka away": partial(restarted, of="kafka", away=AWAY),
    "Postgres restarted": partial(restarted, of="postgres"),
    "Postgres killed": partial(restarted, of="postgres", kill=True),
    "Postgres away": partial(restarted, of="postgres", away=AWAY),
    "half-open": half_open,
    "slow": slow,
    "receiver refuses": receiver_refuses,
    "receiver hangs": receiver_hangs,
}
