"""What changes while deliveries are under way: the channel's address, its being enabled, their order in a recovery.

The deliveries are of records of their own, and each case says itself what must come of them.
"""

import asyncio
import datetime as dt

from consumer import clock
from consumer.store import jobs
from consumer.store.database import Database
from tests.faults import half
from tests.faults.run import Run
from tests.support.fakes import Received

RULES = [("quota", 80, {})]
STATES = "SELECT state, reason, count(*) AS count FROM delivery WHERE namespace = $1 GROUP BY 1, 2 ORDER BY 1"
IDS = "SELECT id FROM event WHERE namespace = $1 ORDER BY id"
# Places of a thousand. Two replicas have eight in flight and eight ahead each, and a claim brings as many at once: 50.
# While one waits for a CPU, the other overtakes it for as long. Sent to the end of the queue they are hundreds late.
LATE = 200
ON_ITS_WAY = 0.1  # seconds: what was begun before the answer, and arrives after it


async def sent_elsewhere(run: Run) -> None:
    """A channel gets a new URL while the old receiver is asked, which answers 410: the new one gets everything."""
    receiver, path, count = run.stage.receiver, f"/{half.NAMESPACE}", 16
    await both(run, TOLLBELL_DELIVERY_TIMEOUT="30s")
    await half.apply(run, RULES)
    releases = [receiver.hold(path=path, reply=410) for _ in range(count)]
    await fire(run, count)
    await receiver.wait_for(count, timeout=40, path=path)
    await half.apply(run, RULES, url=receiver.url(f"{path}/new"))
    for release in releases:
        release.set()
    await receiver.wait_for(count, timeout=40, path=f"{path}/new")
    await ended(run)
    assert await states(run) == [("SUCCESS", None, count)]
    run.is_back()


async def disabled_and_enabled(run: Run) -> None:
    """A channel with hundreds under way is disabled, and enabled after 2 s: none of them begins after the answer."""
    receiver, path, count = run.stage.receiver, f"/{half.NAMESPACE}", 600
    receiver.otherwise(in_a_while, path=path)
    await both(run)
    await half.apply(run, RULES)
    await fire(run, count)
    await receiver.wait_for(60, timeout=60, path=path)
    await half.apply(run, RULES, disabled=True)
    answered_at = clock.monotonic()
    await run.wait(2)
    await half.apply(run, RULES, disabled=False)
    await ended(run)
    begun = receiver.at(path)
    assert [request.at - answered_at for request in begun if request.at > answered_at + ON_ITS_WAY] == []
    sent = len({request.headers["webhook-id"] for request in begun})
    assert await states(run) == [("FAILED", "channel_disabled", count - sent), ("SUCCESS", None, sent)]
    run.is_back()


async def recovered_in_order(run: Run) -> None:
    """A recovery of a thousand, of which one in fifty is refused at first: no other is sent far behind its place."""
    receiver, path, count = run.stage.receiver, f"/{half.NAMESPACE}", 1000
    await both(run)
    await half.apply(run, RULES)
    receiver.otherwise(500, path=path)
    await fire(run, count)
    failed = "UPDATE delivery SET state = 'FAILED', due_at = NULL, token = NULL, ended_at = now() WHERE namespace = $1"
    await made(run, count)
    await half.rows_of(run, failed)
    order = {row["id"]: place for place, row in enumerate(await half.rows_of(run, IDS))}
    before = len(receiver.at(path))
    receiver.otherwise(lambda request: 400 if order[request.headers["webhook-id"]] % 50 == 7 else 200, path=path)
    await recover(run)
    await receiver.wait_until(lambda _: len(firsts(receiver.at(path)[before:])) == count, timeout=90)
    late = [place - order[event] for place, event in enumerate(firsts(receiver.at(path)[before:]))]
    assert max(late) <= LATE, (max(late), sum(one > LATE for one in late))
    receiver.otherwise(200, path=path)
    run.is_back()


async def both(run: Run, **settings: str) -> None:
    one, other, _ = run.slots
    await asyncio.gather(run.start(one, **settings), run.start(other, **settings))


async def fire(run: Run, count: int) -> None:
    """Let *count* entitlements reach the threshold."""
    records = [half.record(f"e{n}", 90) for n in range(count)]
    for partition in range(3):
        await run.stage.produce(run.stage.topics[0], *records[partition::3], partition=partition)


async def made(run: Run, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await half.rows_of(run, IDS)) < count:
            await run.wait(0.1)


async def ended(run: Run) -> None:
    async with asyncio.timeout(60):
        while any(state not in {"SUCCESS", "FAILED"} for state, _, _ in await states(run)):
            await run.wait(0.1)


async def states(run: Run) -> list[tuple[str, str | None, int]]:
    return [tuple(row) for row in await half.rows_of(run, STATES)]


async def recover(run: Run) -> None:
    """Ask that all that the channel has not got be sent again."""
    ((channel_id,),) = await half.rows_of(run, "SELECT id FROM channel WHERE namespace = $1")
    database = await Database.connect(run.stage.deployment.environment["TOLLBELL_DATABASE_URL"], size=1)
    try:
        since = await database.now() - dt.timedelta(hours=1)
        await jobs.recover(database, half.NAMESPACE, channel_id, since=since)
    finally:
        await database.close()


def firsts(requests: list[Received]) -> list[str]:
    """Return the events of *requests*, each where it first came."""
    return list(dict.fromkeys(request.headers["webhook-id"] for request in requests))


async def in_a_while(_: Received) -> int:
    await clock.sleep(0.1)
    return 200
