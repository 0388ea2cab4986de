"""Who judges what now: batches that share an entitlement or invoice take turns, in the order of reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet

from consumer.errors import StoreUnavailable
from consumer.store.memory import MemoryKey


class Turns:
    """Turns at keys. A record must not be judged before an earlier one of its entitlement, nor be told before it."""

    def __init__(self) -> None:
        self._taken: list[tuple[AbstractSet[MemoryKey], asyncio.Future[bool]]] = []

    def is_awaited(self, key: MemoryKey) -> bool:
        """Whether somebody waits for *key* beside whoever has it."""
        return sum([key in keys for keys, _ in self._taken]) > 1

    @contextlib.asynccontextmanager
    async def at(self, keys: AbstractSet[MemoryKey]) -> AsyncIterator[None]:
        """Run the body when all who asked before for one of *keys* have ended.

        Raises:
            StoreUnavailable: one of them failed: its records come again, and these after them.
        """
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        before = [one for others, one in self._taken if not keys.isdisjoint(others)]
        self._taken.append((keys, ended))
        is_well = False
        try:
            for one in before:
                if not await asyncio.shield(one):
                    raise StoreUnavailable("the batch before, about the same entitlement, is taken again")
            yield
            is_well = True
        finally:
            self._taken.remove((keys, ended))
            ended.set_result(is_well)
