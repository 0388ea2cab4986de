"""No local port is left to one destination: its channel waits, and no other is slowed."""

import asyncio
import contextlib
import datetime as dt
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from consumer import clock
from consumer.decide.breaker import Breaker, Endurance
from consumer.deliver.http.wire import Wire
from consumer.deliver.role import Deliver, Terms
from consumer.deliver.shortages import LACKING
from consumer.deliver.slots import Limits
from consumer.metrics import Metrics
from tests.integration.deliver.test_deliverers import ALL_ARRIVED, hook, until
from tests.support.fakes import Receiver
from tests.support.stores import CIPHER, DAYS, LEASE, Store
from tests.support.webhooks import LOOPBACK

OF_A_CHANNEL = 4


@contextlib.asynccontextmanager
async def delivering(stored: Store) -> AsyncIterator[None]:
    terms = Terms(
        timeout=dt.timedelta(seconds=15),
        allow=LOOPBACK,
        ca_file=None,
        connections=100,
        limits=Limits(total=32, channel=OF_A_CHANNEL),
        schedule=(dt.timedelta(0),),
        longest_round=DAYS,
        breaker=Breaker(failures=1, pause=LEASE, longest=LEASE),
        endurance=Endurance(lasting=DAYS, attempts=10, events=2),
    )
    deliver = Deliver(stored.database, CIPHER, Metrics(), terms, due=asyncio.Event(), announce=lambda: None)
    stop = asyncio.Event()
    running = asyncio.create_task(deliver.run(stop, lambda: clock.monotonic() + 10))
    try:
        yield
    finally:
        stop.set()
        await running


class Ports:
    """Of *short*, a port of loopback, each connect ends as the kernel's does when no local port is left."""

    def __init__(self, short: int) -> None:
        self.short: int | None = short
        self.tries = 0

    def connecting(self) -> Callable[[Wire, tuple[str, int]], None]:
        def connect(wire: Wire, where: tuple[str, int]) -> None:
            if where[1] == self.short:
                self.tries += 1
                raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
            socket.socket.connect(wire, where)

        return connect


async def test_ports_short_to_one_destination_slow_no_other_channel(
    stored: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver() as full:
        ports = Ports(full.port)
        monkeypatch.setattr(Wire, "connect", ports.connecting(), raising=False)
        await stored.configure({"full": hook(full), "well": hook(receiver)})
        await stored.events(20)
        releases = [receiver.hold() for _ in range(OF_A_CHANNEL)]
        begun = clock.monotonic()
        async with delivering(stored):
            while ports.tries <= OF_A_CHANNEL:  # it is short, and short again
                await clock.wait(asyncio.Event(), 0.05)
            await receiver.wait_until(lambda _: receiver.in_flight == OF_A_CHANNEL)
            tries, seconds = ports.tries, clock.monotonic() - begun
            for release in releases:
                release.set()
            ports.short = None
            await until(stored, ALL_ARRIVED)

    assert tries <= OF_A_CHANNEL * (seconds / LACKING + 1)
    assert [vars(one)["fields"]["channel_id"] for one in caplog.records if one.getMessage() == "deliver.short"] == [
        stored.ids["full"]
    ]
    assert len({one.headers["webhook-id"] for one in full.requests}) == 20
