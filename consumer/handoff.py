"""The hand-over from the consumer to the deliverer of its process: the one interface of the two beside the outbox.

What the consumer writes is leased to this process in the statement that writes it, as far as its deliverer has
reserved slots: then nothing has to be claimed. Without a deliverer nothing is reserved: the first process to claim
sends.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

from consumer.store.deliveries import Claimed
from consumer.store.outbox import Reserved

Recipients = Mapping[tuple[str, str], int]  # how many deliveries at most, by namespace and channel


@dataclass(frozen=True, slots=True)
class SlotReservation:
    """Slots that are reserved while a batch is written.

    Attributes:
        reserved: what the statement may lease.
        start: to be called once with what it has leased, after the commit.
    """

    reserved: Reserved
    start: Callable[[Sequence[Claimed]], None]


NO_SLOTS: Final = SlotReservation(Reserved({}, dt.timedelta()), lambda _: None)


class Deliverer(Protocol):
    """What the consumer asks of a deliverer."""

    def reserve(self, recipients: Recipients, /) -> AbstractContextManager[SlotReservation]:
        """Reserve slots for deliveries that are about to be made; those not started are released at the end."""


class Handoff:
    """Where the consumer finds the deliverer of its process, once that runs."""

    def __init__(self) -> None:
        self._deliverer: Deliverer | None = None

    def joined(self, deliverer: Deliverer) -> None:
        """Take note that *deliverer* runs in this process."""
        self._deliverer = deliverer

    def reserve(self, recipients: Recipients) -> AbstractContextManager[SlotReservation]:
        """Reserve slots of the deliverer; none where this process has none."""
        return nullcontext(NO_SLOTS) if self._deliverer is None else self._deliverer.reserve(recipients)
