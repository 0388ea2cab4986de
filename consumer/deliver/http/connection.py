"""One connection, one request at a time: the bytes out, the answer in, and an end that waits for no one."""

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

from consumer.decide.outcome import OutcomeClass
from consumer.deliver.http import failed
from consumer.deliver.http.answer import HEAD_LIMIT, Answer, NotHttp
from consumer.deliver.http.failed import Failed
from consumer.deliver.http.wire import Wire

BODY_SECONDS: Final = 1.0  # after a final head: the status is the answer already
PART_BYTES: Final = 16_384  # of a body, read at once, for fairness: some 2 ms of the worst that there is to parse
SENT_AT_ONCE: Final = 65_536  # bytes; of a longer body parts are handed over as the receiver takes them
_NOTHING: Final = memoryview(b"")
# Of all connections: what came is read before another one is looked at.
_INCOMING: Final = memoryview(bytearray(HEAD_LIMIT + PART_BYTES))


class Connection(asyncio.BufferedProtocol):
    """A connection to one origin. What asyncio reads goes through `get_buffer`, of a body at most `PART_BYTES` at once.

    It ends by `abort` alone: a polite end of TLS waits half a minute for a peer that does not read.

    Attributes:
        is_used: a request has been sent on it before.
    """

    def __init__(self, lost: Callable[["Connection"], None]) -> None:
        self.is_used = False
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._transport: asyncio.Transport | None = None
        # Of the first request from the beginning: a receiver may refuse any client that connects, before a request.
        self._answer: Answer | None = Answer()
        self._ended: asyncio.Future[Failed | None] | None = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._unread = select.poll()
        self._unsent = _NOTHING
        self._may_write = True
        self._is_ended = False
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent on it, as far as is known."""
        return self._transport is not None and not self._is_ended and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come that has not been read yet: its end, or more than was asked for.

        An answer to nothing would be taken for the next request's. A TLS record is the former's too: tickets come
        before the first answer.
        """
        return self.is_open and not self._unread.poll(0)

    def is_over(self, wire: Wire) -> None:
        """Take note of the socket that it is going to have."""
        self._wire = wire

    async def exchange(self, head: bytes, body: bytes, until: float) -> Answer:
        """Send a request and return its answer; the connection is open afterwards where it may carry another one.

        Args:
            head: of the request, whole.
            body: of it.
            until: when to give up, by the loop's clock.

        Raises:
            Failed: there was none.
        """
        self._answer = answer = self._answer or Answer()
        self._ended = ended = self._ended or self._loop.create_future()
        is_early = answer.has_begun
        self._until = until if answer.status is None else min(until, self._loop.time() + BODY_SECONDS)
        self._timer = self._loop.call_at(self._until, self._expire)
        try:
            if not self.is_open:
                self._end(failed.of_ending(None, is_unanswered=True))
            elif not is_early:
                self._send(head, body)
            why = await ended
        finally:
            self._timer.cancel()
            self._answer = self._ended = None
            self._unsent = _NOTHING  # a slice of it, empty too, would hold the body for as long as the connection lives
            self.is_used = True
            if is_early or not answer.is_reusable:  # cancelled, too
                self.abort()
        if is_early and why is None and answer.status is not None and answer.status < 300:  # noqa: PLR2004 - of nothing
            why = Failed(OutcomeClass.PROTOCOL, "answered before it was asked")
        if why is not None:
            try:
                raise why
            finally:  # else frame and exception hold each other, and the body, until the garbage collector comes
                del why, ended
        return answer

    def abort(self) -> None:
        """End it, whatever is unsent or unread; not before asyncio's TLS is done with what it is about.

        That can't be aborted while it hands over what it has read: it goes on in a state that it is not in any more.
        """
        if self._transport is not None and not self._is_ended:
            self._loop.call_soon(self._transport.abort)
        self._is_ended = True

    # --- what asyncio says -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the handshake is done, where there is one."""
        self._transport = cast("asyncio.Transport", transport)
        self._unread.register(transport.get_extra_info("socket"), select.POLLIN)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to put what comes.

        A head has room at once: of what asyncio's TLS holds when the receiver ends, it reads once more, and no further.
        """
        return _INCOMING if self._answer is None or self._answer.status is None else _INCOMING[:PART_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Read on in the answer."""
        if self._answer is None or self._is_ended:  # nothing was asked: the rest of an answer, or the last words
            self.abort()
            return
        try:
            self._answer.feed(bytes(_INCOMING[:nbytes]))
        except NotHttp as problem:
            self._end(self._not_http(problem))
            return
        if self._answer.is_done:
            self._end(None)
        elif self._answer.status is not None and self._timer is not None:
            self._timer.cancel()
            until = min(self._until, self._loop.time() + BODY_SECONDS)
            self._until, self._timer = until, self._loop.call_at(until, self._expire)

    def eof_received(self) -> None:
        """End: no more will come."""
        if self._answer is not None:
            try:
                self._answer.end()
            except NotHttp as problem:
                self._end(self._not_http(problem))
        self._close(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the socket is closed."""
        self._close(exc)
        self._transport = None
        self._lost(self)

    def pause_writing(self) -> None:
        """Hand over nothing more: the receiver is behind."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Hand over more."""
        self._may_write = True
        self._send_on()

    # --- how a request ends ----------------------------------------------------------------------------------------

    def _send(self, head: bytes, body: bytes) -> None:
        if self._transport is None:
            return
        if len(body) <= SENT_AT_ONCE:
            self._transport.write(head + body)
            return
        self._unsent = memoryview(body)
        self._transport.write(head)
        self._send_on()

    def _send_on(self) -> None:
        while self._unsent and self._may_write and self._transport is not None:
            part, self._unsent = self._unsent[:SENT_AT_ONCE], self._unsent[SENT_AT_ONCE:]
            self._transport.write(part)

    def _expire(self) -> None:
        self._end(failed.of_timeout())

    def _close(self, exc: Exception | None) -> None:
        """End the request, if there is one, as the connection has ended."""
        if self._answer is not None:
            self._end(failed.of_ending(exc, is_unanswered=not self._answer.has_begun))
        self.abort()

    def _end(self, why: Failed | None) -> None:
        """End the request: with its answer, if there is one, whatever happened since; else for *why*."""
        if self._answer is None or self._ended is None:
            return
        is_answered = self._answer.status is not None
        if not self._ended.done():
            self._ended.set_result(None if is_answered else why)
        if why is not None or not self._answer.is_reusable or not self._is_sent():
            self.abort()

    def _is_sent(self) -> bool:
        """Whether the receiver has the whole request: else the next one would lie behind what it may never read."""
        if self._unsent or self._transport is None or self._wire is None:
            return False
        return not self._transport.get_write_buffer_size() and self._wire.is_flushed

    def _not_http(self, problem: NotHttp) -> Failed:
        is_unanswered = self._answer is None or not self._answer.has_begun
        return Failed(OutcomeClass.PROTOCOL, str(problem), is_unanswered=is_unanswered)
