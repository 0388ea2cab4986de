"""The axes: each section varies one; `everything` has the largest of all at once."""

import contextlib
from collections.abc import AsyncIterator, Callable

from consumer import clock
from tests.bench.delivering import receivers
from tests.bench.growth import costs, fills
from tests.bench.growth.costs import REMEMBERED, Reading, Row, connected, reading
from tests.bench.growth.figures import ALL_DUE, COSTS, MEMORY, Figure, Step, growth, step
from tests.bench.growth.sizes import CHANNELS, DELIVERIES, ENTITLEMENTS, ROWS, RULES, World, say
from tests.bench.growth.world import NAMESPACES, SPEAKING, configured, sights
from tests.bench.judging import UNREACHED, read
from tests.bench.place import PARTITIONS, Place, service
from tests.support.service import Deployment

DUE_ON = 10  # channels


@contextlib.asynccontextmanager
async def prepared(
    place: Place, world: World, url: Callable[[int], str] = lambda _: UNREACHED
) -> AsyncIterator[tuple[Deployment, Reading]]:
    """Give a deployment of *world*, and its topic."""
    async with place.deployment(PARTITIONS, **{REMEMBERED: "2000000"}) as deployment, reading(deployment) as topic:
        await configured(deployment, world, url)
        yield deployment, topic


async def measured(deployment: Deployment, topic: Reading, world: World, turn: int = 0) -> Row:
    """Return all three costs."""
    row = await costs.of_records(deployment, topic, world, turn)
    async with costs.due(deployment, DUE_ON):
        return row | await costs.of_claims(deployment) | await costs.of_pages(deployment)


async def entitlements(place: Place) -> tuple[list[Step], list[Figure]]:
    """More and more of them in one deployment, all remembered; in the end, what it costs where one is not."""
    steps: list[Step] = []
    async with prepared(place, World()) as (deployment, topic):
        for turn, count in enumerate(ENTITLEMENTS):
            row = await measured(deployment, topic, World(entitlements=count), turn)
            steps.append(step("entitlements", count, row))
        stranger = await costs.of_strangers(deployment, topic, World(entitlements=ENTITLEMENTS[-1]), len(ENTITLEMENTS))
    figures = growth("entitlements", steps[0], steps[-1], COSTS)
    figures.append(Figure("entitlements: record_us of one that is not remembered", stranger))
    return steps, [*figures, Figure("entitlements: consume_mib", steps[-1].row["consume_mib"], MEMORY)]


async def rules(place: Place) -> tuple[list[Step], list[Figure]]:
    """More and more of them, of which one is about a record."""
    steps: list[Step] = []
    for count in RULES:
        world = World(rules=count)
        async with prepared(place, world) as (deployment, topic):
            steps.append(step("rules", count, await measured(deployment, topic, world)))
    return steps, growth("rules", steps[0], steps[-1], [*COSTS, "rules_ms"])


async def channels(place: Place) -> tuple[list[Step], list[Figure]]:
    """More and more of them; something is due on ten, then on all."""
    steps: list[Step] = []
    for count in CHANNELS:
        world = World(channels=count)
        async with prepared(place, world) as (deployment, topic):
            row = await measured(deployment, topic, world)
            async with costs.due(deployment, count):
                every = await costs.of_claims(deployment)
            row |= {f"{ALL_DUE}{name}": value for name, value in every.items()}
            steps.append(step("channels", count, row))
    all_due = [f"{ALL_DUE}{name}" for name in ("claim_ms", "recorded_ms")]
    return steps, growth("channels", steps[0], steps[-1], [*COSTS, "channels_ms", *all_due])


async def history(place: Place) -> tuple[list[Step], list[Figure]]:
    """More and more rows in one deployment: a third of them events, a third deliveries, a third attempts."""
    steps: list[Step] = []
    filled = 0
    async with prepared(place, World()) as (deployment, topic):
        for turn, rows in enumerate(ROWS):
            began = clock.monotonic()
            async with connected(deployment) as connection:
                every = await costs.channels(connection)
                await fills.history(connection, filled, rows // 3, await costs.rules(connection), every)
            filled = rows // 3
            say(f"  filled in {clock.monotonic() - began:.0f} s")
            steps.append(step("history", rows, await measured(deployment, topic, World(), turn)))
    lists = ["events_ms", "of_rule_ms"]  # a page counts up to 10,000 events: which the first size does not have
    return steps, growth("history", steps[0], steps[-1], COSTS) + growth("history, from 1 M", steps[1], steps[2], lists)


async def everything(place: Place) -> tuple[list[Step], list[Figure]]:
    """The largest of all at once, in one process with all roles that reads, and delivers to all channels.

    The service has seen an entitlement of each kind; the others are copies, as of a process that has been restarted.
    """
    world = World(entitlements=ENTITLEMENTS[-1], rules=RULES[-1], channels=CHANNELS[-1])
    kinds = World(entitlements=SPEAKING * world.rules // NAMESPACES, rules=world.rules)
    async with receivers() as to, prepared(place, world, to.url) as (deployment, topic):
        begin, until = topic.position, topic.send(sights(kinds))
        with service(deployment, "--only", "consume") as process:
            await process.logged("partitions.assigned")
            await read(topic.consumer, topic.topic, [process], begin, until)
        async with connected(deployment) as connection:
            every, of = await costs.channels(connection), await costs.rules(connection)
            await fills.entitlements(connection, kinds.entitlements, world.entitlements)
            await fills.history(connection, 0, ROWS[-1] // 3, of, every)
            await fills.due(connection, every, max(DELIVERIES, len(every)), of[0])
        row = await costs.of_records(deployment, topic, world, only="consume,deliver,serve")
        delivered = len({event for event, _ in await to.arrivals()})
    steps = [step("everything", world.entitlements, row | {"delivered": delivered})]
    return steps, [Figure("everything at its largest: MiB of one process", row["consume_mib"], MEMORY)]
