"""Rules, channels and records of a size: whatever the size, one rule is about a record, and one in a hundred fires.

Ten namespaces. `default` has its share of rules and channels, but no record: what lists show of it is filled in.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice

from confluent_kafka import Producer

from tests.bench import judging
from tests.bench.growth.sizes import World
from tests.bench.judging import LINES, UNREACHED
from tests.bench.place import PARTITIONS
from tests.bench.rules import hook, quota
from tests.support.service import Deployment

NAMESPACES = 10
SPEAKING = NAMESPACES - 1  # have records
FIRE = 50  # one in so many of the first of two records of an entitlement; the second falls back
PRIME = 7919  # so entitlements come in no order that memory is laid out in
QUIET, LOUD = 5, (60, 80, 95, 100)  # usage: each turn of a deployment reaches the next of LINES
TURN = 100  # minutes: a turn's records are later than those of the turn before
Records = Iterator[tuple[int, bytes]]


async def configured(deployment: Deployment, world: World, url: Callable[[int], str] = lambda _: UNREACHED) -> None:
    """Apply a file for each namespace."""
    rules, channels = world.rules // NAMESPACES, world.channels // NAMESPACES
    for n, namespace in enumerate(["default", *(f"ns-{n}" for n in range(SPEAKING))]):
        hooks = [hook(f"hook-{one}", url(n * channels + one)) for one in range(channels)]
        quotas = [
            quota(f"quota-{one}", f"hook-{one % channels}", f"feature-{one}", LINES, emit="highest")
            for one in range(rules)
        ]
        applied = await deployment.apply(json.dumps({"namespace": namespace, "channels": hooks, "rules": quotas}))
        assert applied.status == 0, applied.err


def record_maker(world: World) -> Callable[[int, int, int], bytes]:
    """Return what makes the record of an entitlement at a minute of the day, with a usage."""
    template = judging.template(judging.native().replace(b'"f-1"', b'"f-@feature@"'))
    features = world.rules // NAMESPACES

    def make(one: int, minute: int, usage: int) -> bytes:
        at = b"%02d:%02d" % divmod(minute, 60)
        feature = one // SPEAKING % features
        return template % {b"ns": one % SPEAKING, b"ent": one, b"feature": feature, b"usage": usage, b"at": at}

    return make


def sights(world: World, turn: int = 0) -> Records:
    """Return a quiet record of every entitlement."""
    make = record_maker(world)
    for one in range(world.entitlements):
        yield one, make(one, turn * TURN, QUIET)


def known(world: World, slices: int, size: int, turn: int = 0) -> Iterator[tuple[int, bytes, bool]]:
    """Return records of entitlements that were seen, *slices* times *size*, and whether each fires.

    Of a slice, every entitlement has two records, at most; none is loud twice in a turn.
    """
    make = record_maker(world)
    distinct = min(world.entitlements, size // 2)
    passes = -(-size // 2 // distinct)
    assert slices * passes < FIRE
    assert 2 * slices * passes < TURN
    for n in range(slices * passes):
        places = range(distinct) if passes > 1 else range(n * distinct, (n + 1) * distinct)
        for half in (0, 1):
            minute = turn * TURN + 2 * n + half + 1
            for at in places:
                one = at * PRIME % world.entitlements
                fires = half == 0 and (at % world.entitlements + n) % FIRE == 0
                yield one, make(one, minute, LOUD[turn] if fires else QUIET), fires


def produce(bootstrap: str, topic: str, records: Records) -> int:
    """Send *records*, compressed; return how many. All of an entitlement go to one partition."""
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 50, "compression.type": "lz4"}
    producer = Producer({**settings, "queue.buffering.max.messages": 400_000})
    made = 0
    while some := list(islice(records, 10_000)):
        for one, value in some:
            producer.produce(topic, value, partition=one % PARTITIONS)
        made += len(some)
        while len(producer) > 200_000:
            producer.poll(0.05)
    assert producer.flush(120) == 0
    return made
