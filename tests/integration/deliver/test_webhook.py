"""One attempt over real sockets: what is sent, and what each way of ending is called."""

import asyncio
import datetime as dt
import socket
from collections.abc import AsyncIterator

import pytest
import standardwebhooks
import svix.webhooks
from aiohttp import web
from msgspec.structs import replace

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.http.request import USER_AGENT
from consumer.deliver.webhook import Webhook
from schemas.secret import Secret
from tests.support.fakes import RawReceiver, Receiver, never, read_request
from tests.support.webhooks import LOOPBACK, SIGNING_SECRET, TIGER, make_request, send

SECOND = dt.timedelta(seconds=1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with Webhook(SECOND * 5, allowed=LOOPBACK) as running:
        yield running


async def test_the_bytes_signed_are_the_bytes_sent(webhook: Webhook, receiver: Receiver) -> None:
    body = '{"b":1.0,  "a":"é\\u0000"}\n'.encode()

    outcome = await webhook.send(make_request(receiver.url(), body=body))

    (received,) = receiver.requests
    assert outcome.is_success
    assert received.body == body
    headers = dict(received.headers)
    standardwebhooks.Webhook(SIGNING_SECRET.reveal()).verify(received.body, headers)
    svix.webhooks.Webhook(SIGNING_SECRET.reveal()).verify(received.body, headers)


async def test_the_headers_are_ours_and_the_channels(webhook: Webhook, receiver: Receiver) -> None:
    request = make_request(receiver.url(), headers={"Authorization": "Bearer abc", "X-Tenant": "a b"})

    outcome = await webhook.send(request)

    (received,) = receiver.requests
    assert received.method == "POST"
    assert {name.lower(): value for name, value in received.headers.items()} == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "authorization": "Bearer abc",
        "content-length": "8",
        "content-type": "application/json",
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": USER_AGENT,
        "webhook-id": request.webhook_id,
        "webhook-signature": received.headers["webhook-signature"],
        "webhook-timestamp": str(int(outcome.started_at.timestamp())),
        "x-tenant": "a b",
    }


async def test_the_url_is_sent_to_the_letter(webhook: Webhook) -> None:
    lines: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await read_request(reader)).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with RawReceiver(keep) as receiver:
        await webhook.send(make_request(receiver.url("/a/../b//c;d/%7Ex%2f?sig=a%2Bb%20+c&")))

    assert lines == [b"POST /a/../b//c;d/%7Ex%2f?sig=a%2Bb%20+c&?token=tiger HTTP/1.1"]


@pytest.mark.parametrize("status", [200, 204, 302, 400, 410, 429, 500, 599])
async def test_a_status_is_the_outcome(webhook: Webhook, receiver: Receiver, status: int) -> None:
    receiver.answer(status)

    outcome = await webhook.send(make_request(receiver.url()))

    assert (outcome.kind, outcome.status, outcome.detail) == (OutcomeClass.STATUS, status, "")
    assert outcome.is_success == (200 <= status <= 299)


async def test_the_start_of_the_answer_is_stored_as_valid_text(webhook: Webhook, receiver: Receiver) -> None:
    receiver.answer(web.Response(status=500, body=b"no\0\xff" + "é".encode() * 5000))

    outcome = await webhook.send(make_request(receiver.url()))

    assert outcome.body == "no\ufffd\ufffd" + "é" * 2046
    assert outcome.retry_after is None


async def test_retry_after_is_kept_as_it_came_and_capped(webhook: Webhook, receiver: Receiver) -> None:
    receiver.answer(
        web.Response(status=429, headers={"Retry-After": "7.5"}),
        web.Response(status=503, headers={"Retry-After": "9" * 5000}),
    )

    first = await webhook.send(make_request(receiver.url()))
    second = await webhook.send(make_request(receiver.url()))

    assert first.retry_after == "7.5"
    assert second.retry_after == "9" * 200


async def test_a_body_of_megabytes_is_sent(webhook: Webhook, receiver: Receiver) -> None:
    body = b"0123456789" * 300_000

    outcome = await webhook.send(make_request(receiver.url(), body=body))

    assert outcome.is_success
    assert receiver.requests[0].body == body


async def test_a_redirect_is_not_followed_with_the_secret_header(webhook: Webhook) -> None:
    async with Receiver() as first, Receiver() as second:
        first.otherwise(web.Response(status=307, headers={"Location": second.url()}))

        outcome = await webhook.send(make_request(first.url(), headers={"X-Webhook-Secret": "s"}))

        assert outcome.status == 307
        assert second.requests == []


async def test_cookies_are_not_kept(webhook: Webhook, receiver: Receiver) -> None:
    receiver.otherwise(web.Response(headers={"Set-Cookie": "session=1; Path=/"}))

    for _ in range(2):
        await webhook.send(make_request(receiver.url()))

    assert ["cookie" in received.headers for received in receiver.requests] == [False, False]


async def test_no_proxy_of_the_environment_is_used(
    webhook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())

        outcome = await webhook.send(make_request(receiver.url()))

    assert outcome.is_success
    assert (len(receiver.requests), len(proxy.requests)) == (1, 0)


async def test_a_connection_is_used_again(webhook: Webhook) -> None:
    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000)

    async with RawReceiver(polite) as receiver:
        # More in all than one answer may be.
        outcomes = [await webhook.send(make_request(receiver.url())) for _ in range(40)]

        assert all(outcome.is_success for outcome in outcomes)
        assert receiver.connections == 1


async def test_a_request_on_a_dead_reused_connection_is_repeated(webhook: Webhook) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)

    async with RawReceiver(once) as receiver:
        outcomes = [await webhook.send(make_request(receiver.url())) for _ in range(3)]

        assert [outcome.status for outcome in outcomes] == [200, 200, 200]
        assert receiver.connections == 3


async def test_a_used_connection_that_dies_in_an_answer_is_a_reset(webhook: Webhook) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)
        writer.write(b"H")

    async with RawReceiver(half) as receiver:
        first = await webhook.send(make_request(receiver.url()))
        second = await webhook.send(make_request(receiver.url()))

        assert first.is_success
        assert (second.kind, second.status) == (OutcomeClass.RESET, None)
        assert receiver.connections == 1


async def test_a_leftover_of_an_answer_is_not_the_next_answer(webhook: Webhook) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await read_request(reader)
        writer.write(b"ay")

    async with RawReceiver(late) as receiver:
        outcomes = [await webhook.send(make_request(receiver.url())) for _ in range(2)]

    assert [outcome.status for outcome in outcomes] == [200, 200]


async def test_a_receiver_that_hangs_up_is_a_reset() -> None:
    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with RawReceiver(hang_up) as receiver:
        outcome = await send(receiver.url())

    assert outcome.kind is OutcomeClass.RESET


async def test_a_port_where_nothing_listens_is_no_connection() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))

        outcome = await send(f"http://127.0.0.1:{closed.getsockname()[1]}/")

    assert (outcome.kind, outcome.detail) == (OutcomeClass.CONNECT, "no connection: connection refused")


async def test_a_receiver_that_never_answers_is_a_timeout() -> None:
    async with RawReceiver(never) as receiver:
        outcome = await send(receiver.url(), seconds=0.3)

    assert outcome.kind is OutcomeClass.TIMEOUT
    assert outcome.duration_ms >= 300


async def test_a_receiver_that_never_accepts_is_a_timeout() -> None:
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for waiting in (first, second):  # they fill the queue
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())

        outcome = await send(f"http://127.0.0.1:{listening.getsockname()[1]}/", seconds=0.3)

    assert outcome.kind is OutcomeClass.TIMEOUT


async def test_hundreds_that_hang_delay_no_other_receiver(receiver: Receiver) -> None:
    async with RawReceiver(never) as hanging, Webhook(SECOND * 30, allowed=LOOPBACK) as webhook:
        stuck = [asyncio.create_task(webhook.send(make_request(hanging.url()))) for _ in range(200)]

        outcome = await webhook.send(make_request(receiver.url()))

        assert outcome.is_success
        assert outcome.duration_ms < 5000
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_cancelling_is_passed_on_and_ends_the_connection(webhook: Webhook, receiver: Receiver) -> None:
    receiver.hold()
    sending = asyncio.create_task(webhook.send(make_request(receiver.url())))
    await receiver.wait_for(1)

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await receiver.wait_until(lambda _: receiver.in_flight == 0)


@pytest.mark.parametrize(
    ("url", "headers", "secret", "why"),
    [
        ("ftp://example.com/", {}, SIGNING_SECRET, "the URL has a scheme"),
        ("http://bob:tiger@127.0.0.1:9/", {}, SIGNING_SECRET, "the URL has a user or password"),
        ("http://0x7f000001:8080/", {}, SIGNING_SECRET, "the URL has an unusual spelling"),
        ("http://127.0.0.1:22/", {}, SIGNING_SECRET, "the URL has a port"),
        ("nonsense", {}, SIGNING_SECRET, "the URL is not"),
        ("http://127.0.0.1:8080/", {"Transfer-Encoding": "chunked"}, SIGNING_SECRET, "'Transfer-Encoding' is reserved"),
        ("http://127.0.0.1:8080/", {"X": "tiger\r\nHost: x"}, SIGNING_SECRET, "header 'X' has a value with"),
        ("http://127.0.0.1:8080/", {}, Secret("tiger"), "signing secret"),
    ],
)
async def test_a_row_that_cannot_be_sent_is_an_outcome_not_a_crash(
    webhook: Webhook, url: str, headers: dict[str, str], secret: Secret, why: str
) -> None:
    outcome = await webhook.send(make_request(url, headers=headers, secret=secret))

    assert outcome.kind is OutcomeClass.REQUEST
    assert why in outcome.detail
    assert TIGER not in outcome.detail


async def test_an_id_that_would_end_its_header_is_an_outcome(webhook: Webhook, receiver: Receiver) -> None:
    request = replace(make_request(receiver.url()), webhook_id="m\r\nX: y")

    outcome = await webhook.send(request)

    assert (outcome.kind, receiver.requests) == (OutcomeClass.REQUEST, [])


async def test_a_request_without_a_secret_is_not_sent(webhook: Webhook, receiver: Receiver) -> None:
    outcome = await webhook.send(replace(make_request(receiver.url()), secrets=[]))

    assert (outcome.kind, receiver.requests) == (OutcomeClass.REQUEST, [])


async def test_a_mistake_of_ours_is_not_said_of_the_channel(
    webhook: Webhook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await webhook.send(replace(make_request(receiver.url()), content_type="für uns"))

    assert (outcome.kind, outcome.detail) == (OutcomeClass.PROTOCOL, "unforeseen: UnicodeEncodeError")
    assert [record.message for record in caplog.records] == ["webhook.unforeseen"]
    assert receiver.requests == []
