"""Fewer in flight while this process is short of what a connection takes. No await and no clock."""

import math
from dataclasses import replace

from consumer.deliver.slots import Limits


class ShortageLimits:
    """Limits that are halved at a shortage, and given back by doubling.

    Attributes:
        limits: of now.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all = limits.total
        self._lacked_at = -math.inf

    def lower(self, began: float, now: float, *, in_flight: int) -> None:
        """Have fewer than *in_flight*: an attempt that *began* then had nothing to make a connection of.

        Once for a shortage, however many meet it: who began before it was known of says nothing new.
        """
        if began >= self._lacked_at:
            self.limits = replace(self.limits, total=max(in_flight // 2, 1))
            self._lacked_at = now

    def give_back(self) -> bool:
        """Have more again, up to all; return whether it is still less than that."""
        self.limits = replace(self.limits, total=min(self.limits.total * 2, self._all))
        return self.limits.total < self._all
