"""Templates are tried beside what the process does else: in a thread, one at a time, and not all the time.

To try a large one takes 0.3 s of Python. On the event loop, twenty a second left 14 of 7,349 exchanges a second to
everybody else; in one thread that is always busy 2,475, each of which waits for the interpreter; with as long a rest
after each as it took, and half of that again, more than half of them (measured on 2 busy cores).
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar

from consumer import clock
from consumer.formats import template_trial
from consumer.serve.problems import ApiProblem
from schemas.channels import ChannelConfig

PATIENCE: Final = 10.0  # seconds that a call waits for its turn
REST: Final = 1.5  # times what a trial took
T = TypeVar("T")


class Trials:
    """The turns of one process."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        """Prepare; a call waits for *patience* seconds at most."""
        self._free = asyncio.Semaphore(1)
        self._patience = patience
        self._rested_at = 0.0  # monotonic

    async def of(self, config: ChannelConfig) -> None:
        """Try *config*'s template, if it has one that is not known.

        Raises:
            Problem: 503: its turn did not come in time.
        """
        if not template_trial.is_known(config):
            await self.run(config, lambda: template_trial.tried(config))

    async def run(self, config: ChannelConfig, work: Callable[[], T]) -> T:
        """Return what *work* does with *config*: at once, unless it has a template.

        Raises:
            Problem: likewise.
        """
        if config.template is None:
            return work()
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise ApiProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many templates are tried at once: try again"
            ) from None
        try:
            await clock.sleep(max(self._rested_at - clock.monotonic(), 0))
            began = clock.monotonic()
            try:
                return await asyncio.to_thread(work)
            finally:
                ended = clock.monotonic()
                self._rested_at = ended + REST * (ended - began)
        finally:
            self._free.release()
