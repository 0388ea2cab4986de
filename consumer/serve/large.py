"""What is large: bodies of requests and answers. Bounded each, few worked on at once, and sent piece by piece.

An answer is bounded before what it holds is read, or as it is made; a request for too much is answered with what to
ask for instead. So memory is bounded by the number of those that are worked on, not by how many ask.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Final, Self

import msgspec
from aiohttp import web

from consumer import clock
from consumer.serve.problems import ApiProblem, Fault, bad_request
from consumer.store.history import Listed
from schemas import events

ANSWER_BYTES: Final = 16 * 1024 * 1024  # of what an answer lists; a page of a hundred usual events has 0.3 MiB
CONFIGURED_BYTES: Final = 4 * 1024 * 1024  # of channels or rules, as stored: of rules an answer repeats each feature
PART_BYTES: Final = 2 * 1024 * 1024  # of what is read from Postgres at once for it
SMALL_BYTES: Final = 1024 * 1024  # up to it no answer waits: three times the page of a hundred usual events
OF_BODY: Final = 16  # times its bytes a body takes, at least, as Python's objects; sixty times, where they are small
AT_ONCE: Final = 2  # larger ones: a body of a megabyte takes up to 60 MB, an answer of 16 MiB three times itself
PATIENCE: Final = 10.0  # seconds that a request waits for its turn
SEND_TIMEOUT: Final = 30.0  # seconds for a client to take an answer: it has its turn until then
_PIECE: Final = 65_536


class Turn:
    """A call's turn to work on what is large, if it comes to that; it has it until the end of the context."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        """Prepare; *free* is shared by all calls."""
        self._free = free
        self._is_taken = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._is_taken:
            self._free.release()

    async def take(self, size: int) -> None:
        """Wait for it where *size* bytes are many, unless it has come already.

        Raises:
            Problem: 503: it did not come in time.
        """
        if self._is_taken or size <= SMALL_BYTES:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, "too many large calls at once: try again") from None
        self._is_taken = True


def turns() -> asyncio.Semaphore:
    """Return what lets few calls at a time have a turn."""
    return asyncio.Semaphore(AT_ONCE)


class Items:
    """What an answer lists, encoded one by one, so that nothing else of it is held, and others run in between."""

    def __init__(self, most: int | None = None) -> None:
        """Prepare for a page of *most*, or for a list whose length is not given."""
        self._most = most
        self.bytes = 0
        self.raws: list[msgspec.Raw] = []

    @property
    def is_full(self) -> bool:
        """Whether no further one has room."""
        return self.bytes >= ANSWER_BYTES

    async def add(self, item: object) -> None:
        """Add *item*.

        Raises:
            Problem: 400: it is one too many, of a page.
        """
        raw = events.encode(item)
        self.bytes += len(raw)
        if self._most is not None and self.bytes > ANSWER_BYTES and self.raws:
            raise too_large(self._most, len(self.raws))
        self.raws.append(msgspec.Raw(raw))
        await clock.sleep(0)


def too_large(size: int, fits: int, total: int | None = None) -> ApiProblem:
    """Return 400: a page of *size*, with *total* bytes where that is known, of which *fits* have room in an answer."""
    holds = "more than it may" if total is None else f"{total // 2**20} MiB"
    problem = f"a page of {size} would have {holds} here: ask for a smaller pageSize, at most {fits} on this page"
    return bad_request(f"pageSize: {problem}", [Fault("pageSize", problem)])


def check(listed: Sequence[Listed], size: int) -> int:
    """Return how many bytes the events *listed* have, of a page of *size*.

    Raises:
        Problem: 400: more than an answer may; a single one always has room.
    """
    total, fits = 0, 0
    for one in listed:
        total += one.bytes + one.attempts
        fits += total <= ANSWER_BYTES
    if total > ANSWER_BYTES and len(listed) > 1:
        raise too_large(size, max(fits, 1), total)
    return total


def parts(listed: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Give *listed* in parts that may be read at once."""
    part: list[Listed] = []
    held = 0
    for one in listed:
        held += one.bytes + one.attempts
        if part and held > PART_BYTES:
            yield part
            part, held = [], one.bytes + one.attempts
        part.append(one)
    if part:
        yield part


async def send(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Return *answer*, sent where it is large: piece by piece, as its client takes it, or not to its end."""
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes) or len(body) <= _PIECE:
        return answer
    sent = web.StreamResponse(status=answer.status, headers=answer.headers)
    sent.content_length = len(body)
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            await sent.prepare(request)
            for at in range(0, len(body), _PIECE):
                await sent.write(body[at : at + _PIECE])
            await sent.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return sent
