"""The webhooks of the story: what identifies one, and what each means for a customer's access."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from schemas.events import BalanceThresholdEvent, InvoiceEvent, ResetEvent

CUTS_OFF: Final = Decimal(100)  # percent: reached, access is taken away; no longer reached, it is given back


@dataclass(frozen=True, slots=True)
class StoryCrossing:
    """A level that was reached, or is reached no more. *period*: 1 for the first one, 0 for none of the story's."""

    customer: str
    percent: Decimal
    period: int
    episode: int = 1
    is_recovery: bool = False

    @property
    def summary(self) -> str:
        """What it says, short."""
        verb = "recovered" if self.is_recovery else "reached"
        return f"{self.percent:f} % {verb}" + (f" #{self.episode}" if self.episode > 1 else "")

    @property
    def gives_access(self) -> bool | None:
        """True: access is given back. False: it is taken away. None: neither."""
        return self.is_recovery if self.percent == CUTS_OFF else None

    def __str__(self) -> str:
        verb = "recovered" if self.is_recovery else "reached"
        return f"{self.customer} {self.percent:f} % {verb} (period {self.period}, episode {self.episode})"


@dataclass(frozen=True, slots=True)
class NewPeriod:
    """A reset: *period* begins, and what was used up is there again."""

    customer: str
    kind: Literal["manual", "automatic"]
    period: int

    @property
    def summary(self) -> str:
        """What it says, short."""
        return f"{self.kind} reset"

    @property
    def gives_access(self) -> bool | None:
        """As of a `StoryCrossing`: always given back."""
        return True

    def __str__(self) -> str:
        return f"{self.customer} {self.summary} (period {self.period})"


@dataclass(frozen=True, slots=True)
class InvoiceIs:
    """An invoice that was made, or came into another state."""

    customer: str
    number: str
    state: str
    is_created: bool

    @property
    def summary(self) -> str:
        """What it says, short."""
        return f"invoice {'created' if self.is_created else self.state}"

    @property
    def gives_access(self) -> bool | None:
        """As of a `StoryCrossing`: neither."""
        return None

    def __str__(self) -> str:
        return f"{self.customer} {self.number} {'created, ' if self.is_created else ''}{self.state}"


Webhook = StoryCrossing | NewPeriod | InvoiceIs


class _Kind(msgspec.Struct, frozen=True):
    type: str


class _StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    extended_status: str


class _Invoice(msgspec.Struct, frozen=True, rename="camel"):
    status_details: _StatusDetails
    number: str | None = None
    customer: dict[str, Any] | None = None


_kind: Final = msgspec.json.Decoder(_Kind)
_crossing: Final = msgspec.json.Decoder(BalanceThresholdEvent)
_reset: Final = msgspec.json.Decoder(ResetEvent)
_invoice: Final = msgspec.json.Decoder(InvoiceEvent)


@dataclass(frozen=True, slots=True)
class Body:
    """A webhook's body, read: the event's *id*, and which of the story's it is."""

    id: str
    webhook: Webhook


def read(body: bytes, period_number: Callable[[str], int]) -> Body:
    """Return what *body* says; *period_number* says which of the story's periods begins at a time.

    Raises:
        MsgspecError: it is not as documented.
    """
    match _kind.decode(body).type:
        case "entitlements.reset":
            reset = _reset.decode(body)
            new = NewPeriod(_key(reset.data.customer), reset.data.reset.kind, period_number(reset.timestamp))
            return Body(reset.id, new)
        case "invoice.created" | "invoice.updated" as kind:
            event = _invoice.decode(body)
            return Body(event.id, _invoice_is(event.data, is_created=kind == "invoice.created"))
        case _:
            crossed = _crossing.decode(body)
            crossing = StoryCrossing(
                customer=_key(crossed.data.customer),
                percent=crossed.data.threshold.value,
                period=period_number(str(crossed.data.entitlement["currentUsagePeriod"]["from"])),
                episode=crossed.data.crossing.episode,
                is_recovery=crossed.data.action == "recovered",
            )
            return Body(crossed.id, crossing)


def _invoice_is(data: dict[str, Any], *, is_created: bool) -> InvoiceIs:
    invoice = msgspec.convert(data, _Invoice)
    return InvoiceIs(
        customer=_key(invoice.customer),
        number=str(invoice.number),
        state=invoice.status_details.extended_status,
        is_created=is_created,
    )


def _key(customer: dict[str, Any] | None) -> str:
    return str((customer or {}).get("key"))
