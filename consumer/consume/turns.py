"""Who judges what now: batches that share an entitlement or invoice take turns, in the order of reading."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence

from consumer.errors import StoreUnavailable
from consumer.store.memory import MemoryKey


class Turn:
    """A batch's place in the order of reading, and the keys that it wants."""

    def __init__(self, before: "Sequence[Turn]") -> None:
        self.keys: set[MemoryKey] = set()
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.before = before

    def want(self, keys: Iterable[MemoryKey]) -> None:
        """Want *keys* too."""
        self.keys.update(keys)

    async def comes(self) -> None:
        """Return when all before that want one of the same keys have ended; they want nothing more by now.

        Raises:
            StoreUnavailable: one of them failed: its records come again, and these after them.
        """
        for one in self.before:
            if not self.keys.isdisjoint(one.keys) and not await asyncio.shield(one.ended):
                raise StoreUnavailable("the batch before, about the same entitlement, is taken again")


class Turns:
    """Turns at keys. A record must not be judged before an earlier one of its entitlement, nor be told before it."""

    def __init__(self) -> None:
        self._taken: list[Turn] = []

    def is_awaited(self, key: MemoryKey) -> bool:
        """Whether somebody waits for *key* beside whoever has it."""
        return sum([key in turn.keys for turn in self._taken]) > 1

    @contextlib.contextmanager
    def begin(self) -> Iterator[Turn]:
        """Give a turn after all that have begun; it ends with the body, well or not."""
        turn = Turn(tuple(self._taken))
        self._taken.append(turn)
        is_well = False
        try:
            yield turn
            is_well = True
        finally:
            turn.before = ()
            self._taken.remove(turn)
            turn.ended.set_result(is_well)
