"""Names and addresses: DNS by aiodns, and the judgement at the socket that no resolver can outwit."""

import asyncio
import datetime as dt
import functools
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.http.answer import Answer
from consumer.deliver.http.wire import Wire
from consumer.deliver.webhook import Webhook
from tests.support.fakes import Receiver
from tests.support.webhooks import LOOPBACK, TIGER, Authority, make_request, name_server, send

SECOND = dt.timedelta(seconds=1)
HALF_A_SECOND = dt.timedelta(seconds=0.5)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://[::1]:3000/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/"]
)
async def test_a_special_address_is_refused_without_details(url: str) -> None:
    outcome = await send(url)

    assert (outcome.kind, outcome.detail) == (OutcomeClass.ADDRESS, "webhooks may not go to this address")


async def test_loopback_is_refused_unless_the_operator_opened_it(receiver: Receiver) -> None:
    async with Webhook(SECOND) as webhook:
        for host in ("127.0.0.1", "localhost"):
            outcome = await webhook.send(make_request(receiver.url(host=host)))
            assert outcome.kind is OutcomeClass.ADDRESS

    assert receiver.requests == []


async def test_a_name_of_the_hosts_file_is_found(receiver: Receiver) -> None:
    outcome = await send(receiver.url(host="localhost"))

    assert outcome.is_success


async def test_a_host_with_only_failing_addresses_is_no_connection() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))

        outcome = await send(f"http://localhost:{closed.getsockname()[1]}/")  # ::1 is not opened, 127.0.0.1 is

    assert outcome.kind is OutcomeClass.CONNECT


class Broken(AbstractResolver):
    """Raises what no resolver should."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise LookupError(f"{TIGER} {host} {port} {family}")

    async def close(self) -> None:
        pass


async def test_an_unforeseen_error_is_an_outcome_too_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Webhook(SECOND, resolver=Broken) as webhook:
        outcome = await webhook.send(make_request("https://hooks.example/"))

    assert (outcome.kind, outcome.detail) == (OutcomeClass.PROTOCOL, "unforeseen: LookupError")
    [line] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.getMessage() == "webhook.unforeseen"
    fields = vars(line)["fields"]
    assert (fields["error"], fields["to"]) == ("LookupError", "https://hooks.example")
    assert "resolve" in fields["traceback"]
    assert TIGER not in str(fields)


def mistakes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(vars(one)["fields"]["error"]) for one in caplog.records if one.getMessage() == "webhook.unforeseen"]


async def test_a_socket_that_we_closed_is_our_mistake(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def connect(wire: Wire, where: object) -> None:
        wire.close()
        socket.socket.connect(wire, where)  # type: ignore[arg-type]

    monkeypatch.setattr(Wire, "connect", connect, raising=False)

    outcome = await send(receiver.url())

    assert (outcome.kind, outcome.detail) == (OutcomeClass.PROTOCOL, "unforeseen: OSError")
    assert mistakes(caplog) == ["OSError"]


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_a_mistake_of_ours_in_reading_is_not_the_receivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, is_tls: bool
) -> None:
    def feed(_: Answer, _part: bytes) -> None:
        raise LookupError(TIGER)

    monkeypatch.setattr(Answer, "feed", feed)
    authority = Authority(tmp_path)

    async with Receiver(tls=authority.server() if is_tls else None) as receiver:
        outcome = await send(receiver.url(), ca_file=authority.file)

    assert (outcome.kind, outcome.detail) == (OutcomeClass.PROTOCOL, "unforeseen: LookupError")
    assert mistakes(caplog) == ["LookupError"]


class Rebinding(AbstractResolver):
    """Answers with the first address when it is asked first, and with the second ever after."""

    def __init__(self, first: str, then: str) -> None:
        self._answers = [first, then]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_name_that_moves_to_a_private_address_is_refused(receiver: Receiver) -> None:
    rebinding = Rebinding("127.0.0.1", "10.0.0.1")
    async with Webhook(SECOND, allowed=LOOPBACK, resolver=lambda: rebinding) as webhook:
        await rebinding.resolve("a check beforehand would see the first answer")

        outcome = await webhook.send(make_request(receiver.url(host="moving.example")))

    assert outcome.kind is OutcomeClass.ADDRESS
    assert receiver.requests == []


async def test_a_silent_dns_server_delays_its_own_names_alone(receiver: Receiver) -> None:
    names = {"here.example": ["127.0.0.1"], "private.example": ["10.0.0.1"]}
    async with name_server(names, silent="silent.example") as port:
        resolver = functools.partial(aiohttp.AsyncResolver, nameservers=["127.0.0.1"], udp_port=port)
        async with Webhook(HALF_A_SECOND, allowed=LOOPBACK, resolver=resolver) as webhook:
            hosts = ["silent.example", "here.example", "private.example", "unknown.example"]
            silent, here, private, unknown = await asyncio.gather(
                *(webhook.send(make_request(receiver.url(host=host))) for host in hosts)
            )

    assert silent.kind is OutcomeClass.TIMEOUT
    assert here.is_success
    assert here.duration_ms < 400
    assert private.kind is OutcomeClass.ADDRESS
    assert (unknown.kind, unknown.detail) == (
        OutcomeClass.DNS,
        "the host name does not resolve: domain name not found",
    )
