"""The cases: what is broken while records flow. Each gets a run with empty slots; what it leaves running goes on."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial

from consumer import clock
from tests.faults import half, receivers, under_way
from tests.faults.run import Run
from tests.support.fakes import Received

MANY = 20  # webhooks under way at once, for two replicas to be at work
Case = Callable[[Run], Awaitable[None]]
MOMENTS = (
    "fetch", "write.before", "write.after", "commit.before", "commit.after",
    "claim.before", "claim.after", "record.before", "record.after",
)  # fmt: skip


async def killed_at(run: Run, moment: str) -> None:
    """`kill -9` when the proxy sees *moment*; another replica takes over."""
    victim, other, _ = run.slots
    await run.start(victim)
    trap = victim.trap(moment, run.dice.randint(1, 2))
    await run.came(trap)
    await run.die(victim)
    await run.start(other)
    run.is_back()


async def killed_at_random(run: Run) -> None:
    """Two replicas; one of them is killed at whatever moment that is, and started again, four times."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    for _ in range(4):
        await run.send()
        await run.wait(run.dice.random())
        victim = run.dice.choice([one, other])
        await run.die(victim)
        run.is_back()
        await run.start(victim)


async def stopped_at(run: Run, moment: str) -> None:
    """`kill -STOP` at *moment* until others have done its work; what it held arrives after all, then `-CONT`."""
    zombie, other, _ = run.slots
    await run.start(zombie)
    trap = zombie.trap(moment)
    await run.came(trap)
    run.signal(zombie, signal.SIGSTOP)
    await run.start(other)
    run.is_back()
    await run.send(run.parts - 1)
    await run.stage.settled()
    answered = zombie.trap(moment.replace(".before", ".after"))
    answered.released.set()  # it need only arrive
    trap.released.set()
    async with asyncio.timeout(10):
        await answered.came.wait()
    run.signal(zombie, signal.SIGCONT)


async def woken_with(run: Run, moment: str) -> None:
    """`kill -STOP` before the answer of what leases has come, until others have sent what it leased: it must not."""
    zombie, other, _ = run.slots
    await run.start(zombie)
    trap = zombie.trap(moment)
    await run.came(trap)
    run.signal(zombie, signal.SIGSTOP)
    await run.start(other)
    run.is_back()
    await run.stage.settled()
    sent = len(run.stage.receiver.requests)
    trap.released.set()
    looks_again = zombie.trap("look.before", 2)
    looks_again.released.set()  # it need only arrive
    run.signal(zombie, signal.SIGCONT)
    async with asyncio.timeout(10):
        await looks_again.came.wait()
    assert len(run.stage.receiver.requests) == sent, "a lease that had run out was used"


async def kafka_restarted(run: Run, seconds: float = 0, *, kill: bool = False) -> None:
    """Kafka is stopped, or killed, and away for *seconds*."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    await run.send(2)
    await run.in_thread(run.kafka.kill if kill else run.kafka.stop)
    await run.wait(seconds)
    await run.in_thread(run.kafka.start)
    run.is_back()
    await run.send(2)


async def postgres_restarted(run: Run, seconds: float = 0, *, kill: bool = False) -> None:
    """Postgres is stopped, or killed, and away for *seconds*."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    await run.send(2)
    await run.in_thread(run.postgres.kill if kill else run.postgres.stop)
    await run.send()
    await run.wait(seconds)
    await run.in_thread(run.postgres.start)
    run.is_back()
    await run.send(2)


async def half_open(run: Run) -> None:
    """One replica's connections look alive and carry nothing, for longer than its session; then they are cut."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    await run.send(2)
    for proxy in one.proxies:
        proxy.freeze()
    await run.send(2)
    await run.wait(20)
    for proxy in one.proxies:
        proxy.cut()
        proxy.mend()
    run.is_back()


async def slow(run: Run) -> None:
    """Every chunk takes 30 ms longer, both ways."""
    one, other, _ = run.slots
    await asyncio.gather(run.start(one), run.start(other))
    for proxy in (*one.proxies, *other.proxies):
        proxy.delay = 0.03
    await run.send(run.parts)


async def coming_and_going(run: Run) -> None:
    """A replica joins and the oldest leaves, all the time."""
    await run.start(run.slots[0])
    for n in range(1, 6):
        joiner, oldest = run.slots[n % 3], run.slots[(n - 1) % 3]
        await asyncio.gather(run.send(), run.start(joiner))
        await run.leave(oldest)
        run.is_back()


async def ended_under_load(run: Run, drain: str = "25s") -> None:
    """SIGTERM while webhooks wait for slow answers and more are due; another sends what is not sent within *drain*."""
    leaver, other, _ = run.slots
    await run.start(leaver, TOLLBELL_DRAIN_TIMEOUT=drain)
    run.stage.receiver.otherwise(slowly)
    await run.start(other)
    receiver = run.stage.receiver
    await run.send(2)
    await receiver.wait_until(lambda _: receiver.in_flight >= MANY, timeout=40)
    await run.leave(leaver)
    run.is_back()


async def slowly(_: Received) -> int:
    """Answer after a second, half of the time that it may take."""
    await clock.wait(asyncio.Event(), 1)
    return 200


CASES: dict[str, Case] = {
    **{f"killed at {moment}": partial(killed_at, moment=moment) for moment in MOMENTS},
    "killed at random": killed_at_random,
    **{f"stopped at {m}": partial(stopped_at, moment=m) for m in ("write.before", "commit.before", "record.before")},
    "woken with a claim": partial(woken_with, moment="claim.after"),
    "woken with a write": partial(woken_with, moment="write.after"),
    "Kafka restarted": kafka_restarted,
    "Kafka killed": partial(kafka_restarted, kill=True),
    "Kafka away for a minute": partial(kafka_restarted, seconds=60),
    "Postgres restarted": postgres_restarted,
    "Postgres killed": partial(postgres_restarted, kill=True),
    "Postgres away for a minute": partial(postgres_restarted, seconds=60),
    "half-open": half_open,
    "slow": slow,
    "coming and going": coming_and_going,
    "ended under load": ended_under_load,
    "ended without time to drain": partial(ended_under_load, drain="100ms"),
    **{
        f"failed at {moment}, {round(behind * 1000)} ms behind": partial(half.failed_at, moment=moment, behind=behind)
        for moment in ("load.before", "write.before", "write.after")
        for behind in (0, 0.005, 0.05, 0.3)
    },
    "rules under load": half.rules_under_load,
    "two writers": half.two_writers,
    "idle without records": half.idle_without_records,
    "sent elsewhere": under_way.sent_elsewhere,
    "disabled and enabled": under_way.disabled_and_enabled,
    "recovered in order": under_way.recovered_in_order,
    "hostile receivers": receivers.and_say,
}
