"""A host with many addresses: few are tried at once, all in the end, and silent ones delay no other request."""

import asyncio
import contextlib
import datetime as dt
import socket
from collections.abc import Iterator, Sequence
from typing import Self

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver.http.race import LEAST_SECONDS, MOST_AT_ONCE, NEXT_ADDRESS
from consumer.deliver.webhook import Webhook
from tests.support.fakes import Receiver
from tests.support.files import sockets
from tests.support.webhooks import LOOPBACK, make_request


class Named(AbstractResolver):
    """Gives a name its addresses."""

    def __init__(self, names: dict[str, Sequence[str]]) -> None:
        self._names = names

    def __call__(self) -> Self:
        return self

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family  # any
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in self._names[host]
        ]

    async def close(self) -> None:
        pass


def silent(count: int) -> list[str]:
    return [f"127.1.0.{n + 1}" for n in range(count)]


@contextlib.contextmanager
def silence(port: int = 0) -> Iterator[int]:
    """Have *port* of all loopback addresses but 127.0.0.1 accept nothing, and refuse nothing; give the port."""
    with contextlib.ExitStack() as stack:
        for address in silent(60):
            listening = stack.enter_context(socket.socket())
            listening.bind((address, port))
            port = listening.getsockname()[1]
            listening.listen(0)
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())  # it fills the queue
        yield port


async def most_sockets(sending: Sequence[asyncio.Task[Outcome]]) -> int:
    """Return how many sockets there are at most until all of *sending* have ended, beyond those at the beginning."""
    before, most = sockets(), 0
    while not all(task.done() for task in sending):
        await clock.wait(asyncio.Event(), NEXT_ADDRESS / 5)
        most = max(most, sockets() - before)
    return most


async def test_a_host_of_many_silent_addresses_holds_few_sockets() -> None:
    names = Named({"silent.example": silent(60)})
    async with Webhook(dt.timedelta(seconds=4), allowed=LOOPBACK, resolver=names) as webhook:
        with silence() as port:
            sending = asyncio.create_task(webhook.send(make_request(f"http://silent.example:{port}/")))
            most = await most_sockets([sending])

    assert sending.result().kind is OutcomeClass.TIMEOUT
    assert 1 < most <= MOST_AT_ONCE


async def test_silent_hosts_hold_no_more_sockets_than_the_pool_allows() -> None:
    names = Named({"silent.example": silent(60)})
    async with Webhook(dt.timedelta(seconds=3), allowed=LOOPBACK, connections=24, resolver=names) as webhook:
        with silence() as port:
            request = make_request(f"http://silent.example:{port}/")
            sending = [asyncio.create_task(webhook.send(request)) for _ in range(20)]
            most = await most_sockets(sending)
            again = await most_sockets([asyncio.create_task(webhook.send(request))])

    assert {task.result().kind for task in sending} == {OutcomeClass.TIMEOUT}
    assert 20 < most <= 24
    assert again > 1  # what they had, others have


@pytest.mark.parametrize("connections", [100, 1])
async def test_the_address_that_answers_is_reached_behind_silent_ones(connections: int) -> None:
    before = 6 if connections > 1 else 2  # one at a time, each has its least
    names = Named({"last.example": [*silent(before), "127.0.0.1"]})
    async with (
        Receiver() as receiver,
        Webhook(dt.timedelta(seconds=20), allowed=LOOPBACK, connections=connections, resolver=names) as webhook,
    ):
        with silence(receiver.port):
            outcome = await webhook.send(make_request(receiver.url(host="last.example")))

    assert outcome.status == 200
    # One at a time: after both have had theirs. Else the fifth when the first has had it, and two more one by one.
    least = 2 * LEAST_SECONDS if connections == 1 else LEAST_SECONDS + 2 * NEXT_ADDRESS
    assert outcome.duration_ms >= least * 1000
