"""Ctrl-C, SIGTERM, a closed terminal: taken once. What has been started is then stopped without being disturbed."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _raise() -> None:
    raise KeyboardInterrupt


class Interrupt:
    """What a signal does: it raises KeyboardInterrupt where nothing else was said, and only the first one counts."""

    def __init__(self) -> None:
        self._react: Callable[[], object] = _raise

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take the signals for the body."""
        before = {number: signal.signal(number, self._take) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel the current task, for the body."""
        task = asyncio.current_task()
        with self._reacting(task.cancel if task else _raise):
            yield

    @contextlib.contextmanager
    def noted(self) -> Iterator[asyncio.Event]:
        """Set the event that this gives instead, for the body."""
        came = asyncio.Event()
        with self._reacting(came.set):
            yield came

    @contextlib.contextmanager
    def _reacting(self, react: Callable[[], object]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        before = self._react
        self._react = lambda: loop.call_soon_threadsafe(react)
        try:
            yield
        finally:
            self._react = before

    def spend(self) -> None:
        """Take no more of them: everything is being stopped already."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.spend()
        self._react()
