"""What we lack ourselves: reported as ours, of one destination or of all."""

import asyncio
import datetime as dt
import errno
import os

import pytest

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver.http.wire import Wire
from consumer.deliver.webhook import Webhook
from tests.support.fakes import RawReceiver, Receiver, never
from tests.support.files import no_more_files
from tests.support.namespaces import alone
from tests.support.webhooks import LOOPBACK, make_request, send

TEN_SECONDS = dt.timedelta(seconds=10)
SHORT = "this replica is short of resources: "


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "hooks.example"])
async def test_a_process_without_descriptors_blames_itself(host: str) -> None:
    async with Webhook(TEN_SECONDS, allowed=LOOPBACK) as webhook:
        with no_more_files():
            outcome = await webhook.send(make_request(f"http://{host}:9999/"))

    assert (outcome.kind, outcome.is_of_destination) == (OutcomeClass.SHORTAGE, False)
    assert outcome.detail == f"{SHORT}too many open files"


def test_local_ports_are_short_to_one_destination_alone() -> None:
    async def exhausted() -> tuple[Outcome, Outcome]:
        async with (
            RawReceiver(never) as full,
            RawReceiver(never) as other,
            Webhook(dt.timedelta(seconds=2), allowed=LOOPBACK) as webhook,
        ):
            holding = [asyncio.create_task(webhook.send(make_request(full.url()))) for _ in range(2)]
            while full.connections < 2:
                await clock.sleep(0)
            found = await webhook.send(make_request(full.url())), await webhook.send(make_request(other.url()))
            await asyncio.gather(*holding)
            return found

    short, well = alone(exhausted, ports=4)  # two of them are the receivers' own

    assert (short.kind, short.is_of_destination) == (OutcomeClass.SHORTAGE, True)
    assert short.detail == "this replica is short of local ports to this address"
    assert well.kind is OutcomeClass.TIMEOUT  # connected


@pytest.mark.parametrize("code", [errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_what_the_machine_lacks_is_a_shortage_of_ours(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel cannot be brought to these without hurting others, so the call that would meet them says so."""

    def connect(_: Wire, _where: object) -> None:
        raise OSError(code, os.strerror(code))

    async with Receiver() as receiver:
        with monkeypatch.context() as patch:
            patch.setattr(Wire, "connect", connect, raising=False)
            outcome = await send(receiver.url())
        again = await send(receiver.url())

    assert (outcome.kind, outcome.is_of_destination) == (OutcomeClass.SHORTAGE, False)
    assert outcome.detail == f"{SHORT}{os.strerror(code).lower()}"
    assert again.status == 200
