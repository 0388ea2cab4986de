"""Each step gets its own webhooks, also where the clock's come while another one is played."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from consumer.demo.receiver import Arrival
from consumer.demo.webhooks import Webhook


@dataclass(slots=True)
class Arrivals:
    """What the receiver got, in order but for what may come early.

    Attributes:
        news: the receiver's.
        clocks: webhooks that no record brings about: on a slow machine they come before their act is played.
    """

    news: asyncio.Queue[Arrival]
    clocks: frozenset[Webhook]
    _early: list[Arrival] = field(default_factory=list)

    async def next(self, wanted: Collection[Webhook]) -> Arrival:
        """Return the next one of *wanted*; or one that no step expects, for people to see that it came."""
        for early in self._early:
            if early.webhook in wanted:
                self._early.remove(early)
                return early
        while True:
            arrival = await self.news.get()
            if arrival.webhook not in self.clocks or arrival.webhook in wanted:
                return arrival
            self._early.append(arrival)
