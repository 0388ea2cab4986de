"""Large answers: how much has room, what is read at once, and who has a turn."""

import asyncio

import pytest
from aiohttp import ClientSession, web

from consumer import clock
from consumer.serve import large
from consumer.serve.large import ANSWER_BYTES, AT_ONCE, PART_BYTES, Items, Turn
from consumer.serve.problems import ApiProblem
from consumer.store.history import Listed

MIB = 1024 * 1024


def listed(*sizes: int) -> list[Listed]:
    return [Listed(f"e{n}", size, 0) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([], None),
        ([1] * 1000, None),
        ([ANSWER_BYTES], None),
        ([ANSWER_BYTES // 2] * 2, None),
        # a single one always has room
        ([9 * ANSWER_BYTES], None),
        ([9 * ANSWER_BYTES, 1], 1),
        ([ANSWER_BYTES // 2] * 3, 2),
        ([MIB] * 240, 16),
        # those before the one that has none
        ([1, 1, ANSWER_BYTES, 1], 2),
    ],
)
def test_a_page_has_room_or_says_how_many_do(sizes: list[int], fits: int | None) -> None:
    if fits is None:
        assert large.check(listed(*sizes), 300) == sum(sizes)
        return
    with pytest.raises(ApiProblem) as caught:
        large.check(listed(*sizes), 300)

    holds, asks = f"would have {sum(sizes) // MIB} MiB here", f"a smaller pageSize, at most {fits} on this page"
    assert (caught.value.status, caught.value.detail) == (400, f"pageSize: a page of 300 {holds}: ask for {asks}")


def test_attempts_count_as_payloads_do() -> None:
    with pytest.raises(ApiProblem):
        large.check([Listed("a", 1, ANSWER_BYTES), Listed("b", 1, 0)], 2)


def test_a_part_has_what_may_be_read_at_once_in_order() -> None:
    half = PART_BYTES // 2
    some = listed(half, half, 1, 3 * PART_BYTES, 1, half, half)

    found = [[one.id for one in part] for part in large.parts(some)]

    assert found == [["e0", "e1"], ["e2"], ["e3"], ["e4", "e5"], ["e6"]]
    assert list(large.parts([])) == []


async def test_what_an_answer_lists_is_bounded_as_it_is_made() -> None:
    page, endless = Items(100), Items()
    wide = "x" * (ANSWER_BYTES // 2)

    await page.add(wide)
    with pytest.raises(ApiProblem, match="at most 1 on this page"):
        await page.add(wide)
    for _ in range(3):
        await endless.add(wide)

    assert (page.raws, len(endless.raws), endless.is_full) == (page.raws[:1], 3, True)


async def test_one_alone_has_room_however_large_it_is() -> None:
    page = Items(1)

    await page.add("x" * (2 * ANSWER_BYTES))

    assert len(page.raws) == 1


async def test_few_have_a_turn_at_a_time_and_what_is_small_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "PATIENCE", 0.01)
    free = large.turns()
    having = [Turn(free) for _ in range(AT_ONCE)]
    for turn in having:
        await turn.take(2 * MIB)
        await turn.take(2 * MIB)  # the same: it has it

    async with Turn(free) as small, Turn(free) as late:
        await small.take(large.SMALL_BYTES)
        with pytest.raises(ApiProblem) as caught:
            await late.take(2 * MIB)
        async with having[0]:
            pass
        await late.take(2 * MIB)

    assert caught.value.status == 503
    assert free._value == 1  # noqa: SLF001 - late has given it back, and so has the one of the two


async def test_a_client_that_does_not_read_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SEND_TIMEOUT", 0.2)
    ended: list[float] = []
    has_ended = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        begun = clock.monotonic()
        sent = await large.send(request, web.Response(body=b"x" * 64 * MIB))
        ended.append(clock.monotonic() - begun)
        has_ended.set()
        return sent

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(60):
        await has_ended.wait()
        monkeypatch.setattr(large, "SEND_TIMEOUT", 60)  # 64 MiB took longer than 0.2 s on a busy machine
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answered:
            size = len(await answered.read())
    writer.transport.abort()
    await runner.cleanup()

    assert ended[0] < 2
    assert size == 64 * MIB
    assert reader
