"""An event's frozen data, as far as a message for people needs it: what is free in it may be of any form, or absent."""

import datetime as dt
from decimal import Decimal
from typing import Final, Literal, get_args

import msgspec

from schemas import times

_ABSENT: Final = msgspec.Raw(b"null")
_decimal: Final = msgspec.json.Decoder(Decimal)


class SeenParty(msgspec.Struct, frozen=True):
    """The customer, subject or feature of an event; its members are texts, unless a producer sends something else."""

    id: msgspec.Raw = _ABSENT
    key: msgspec.Raw = _ABSENT
    name: msgspec.Raw = _ABSENT

    def texts(self) -> tuple[str, str, str]:
        """Return name, key and id; empty where there is none."""
        return text(self.name), text(self.key), text(self.id)


NO_PARTY: Final = SeenParty()


class SeenPeriod(msgspec.Struct, frozen=True):
    """A usage period, or an invoice's; without `to` it never ends."""

    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None


NO_PERIOD: Final = SeenPeriod()


class SeenEntitlement(msgspec.Struct, frozen=True, rename="camel"):
    """The entitlement and the period that the event is of."""

    id: str
    current_usage_period: SeenPeriod


class SeenValue(msgspec.Struct, frozen=True, rename="camel"):
    """The level; None: not known."""

    has_access: bool
    usage: Decimal | None = None
    balance: Decimal | None = None
    overage: Decimal | None = None
    total_available_grant_amount: Decimal | None = None


class ThresholdSeen(msgspec.Struct, frozen=True):
    """A threshold, as the rule writes it."""

    type: str
    value: Decimal


class CrossingSeen(msgspec.Struct, frozen=True, rename="camel"):
    """Which time in its period, which others it stands for, and of a recovery what it came by."""

    episode: int
    also_crossed: list[ThresholdSeen]
    cause: str | None = None


class ResetSeen(msgspec.Struct, frozen=True):
    """How the new period came, and when."""

    kind: str
    at: str


class RuleSeen(msgspec.Struct, frozen=True):
    """The rule as it was judged."""

    id: str
    name: str


class CrossingData(msgspec.Struct, frozen=True):
    """`data` of `entitlements.balance.threshold`."""

    action: Literal["triggered", "recovered"]
    rule: RuleSeen
    threshold: ThresholdSeen
    feature: SeenParty
    entitlement: SeenEntitlement
    value: SeenValue
    crossing: CrossingSeen
    subject: msgspec.Raw = _ABSENT
    customer: msgspec.Raw = _ABSENT


class SeenResetData(msgspec.Struct, frozen=True):
    """`data` of `entitlements.reset`."""

    rule: RuleSeen
    reset: ResetSeen
    feature: SeenParty
    entitlement: SeenEntitlement
    value: SeenValue
    subject: msgspec.Raw = _ABSENT
    customer: msgspec.Raw = _ABSENT


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    """The whole status."""

    extended_status: str


class InvoiceData(msgspec.Struct, frozen=True, rename="camel"):
    """`data` of an invoice's event."""

    id: str
    rule: RuleSeen
    status_details: StatusDetails
    previous_status: str | None = None
    number: msgspec.Raw = _ABSENT
    currency: msgspec.Raw = _ABSENT
    customer: msgspec.Raw = _ABSENT
    totals: msgspec.Raw = _ABSENT
    period: msgspec.Raw = _ABSENT
    due_at: msgspec.Raw = _ABSENT


class CrossingEvent(msgspec.Struct, frozen=True, tag_field="type", tag="entitlements.balance.threshold"):
    """A threshold that fired or recovered."""

    id: str
    timestamp: str
    data: CrossingData


class SeenReset(msgspec.Struct, frozen=True, tag_field="type", tag="entitlements.reset"):
    """A new usage period."""

    id: str
    timestamp: str
    data: SeenResetData


class InvoiceCreatedEvent(msgspec.Struct, frozen=True, tag_field="type", tag="invoice.created"):
    """A new invoice."""

    id: str
    timestamp: str
    data: InvoiceData


class InvoiceUpdatedEvent(msgspec.Struct, frozen=True, tag_field="type", tag="invoice.updated"):
    """An invoice in another state."""

    id: str
    timestamp: str
    data: InvoiceData


class OtherData(msgspec.Struct, frozen=True):
    """`data` of a type without words of its own: what every event has."""

    rule: RuleSeen
    feature: SeenParty = NO_PARTY
    subject: msgspec.Raw = _ABSENT
    customer: msgspec.Raw = _ABSENT


class OtherEvent(msgspec.Struct, frozen=True):
    """An event of another type: one that was added, or that a newer release made."""

    id: str
    type: str
    timestamp: str
    data: OtherData


_Worded = CrossingEvent | SeenReset | InvoiceCreatedEvent | InvoiceUpdatedEvent
_WORDED: Final = frozenset(str(one.__struct_config__.tag) for one in get_args(_Worded))
Seen = _Worded | OtherEvent
_event: Final = msgspec.json.Decoder(_Worded)
_other: Final = msgspec.json.Decoder(OtherEvent)
_party: Final = msgspec.json.Decoder(SeenParty)
_period: Final = msgspec.json.Decoder(SeenPeriod)
_text: Final = msgspec.json.Decoder(str)


class _Totals(msgspec.Struct, frozen=True):
    total: msgspec.Raw = _ABSENT


_totals: Final = msgspec.json.Decoder(_Totals)


def see(payload: bytes) -> Seen:
    """Return the event of a frozen *payload*.

    Raises:
        msgspec.MsgspecError: *payload* is not an event of ours.
    """
    try:
        return _event.decode(payload)
    except msgspec.ValidationError:
        other = _other.decode(payload)
        if other.type in _WORDED:
            raise
        return other


def type_of(event: Seen) -> str:
    """Return the rule type that made *event*."""
    return event.type if isinstance(event, OtherEvent) else str(event.__struct_config__.tag)


def text(raw: msgspec.Raw) -> str:
    """Return the text in *raw*, empty where there is none."""
    try:
        return _text.decode(raw)
    except msgspec.MsgspecError:
        return ""


def party(raw: msgspec.Raw) -> SeenParty:
    """Return the customer or subject in *raw*; one without members where it is something else."""
    try:
        return _party.decode(raw)
    except msgspec.MsgspecError:
        return NO_PARTY


def period(raw: msgspec.Raw) -> SeenPeriod:
    """Return the period in *raw*; one without members where it is something else."""
    try:
        return _period.decode(raw)
    except msgspec.MsgspecError:
        return NO_PERIOD


def total(raw: msgspec.Raw) -> Decimal | None:
    """Return the total of an invoice's totals in *raw*, which are texts in the reference product; None without one."""
    try:
        amount = _decimal.decode(_totals.decode(raw).total)
    except msgspec.MsgspecError:
        return None
    return amount if amount.is_finite() else None


def time(written: str | None) -> dt.datetime | None:
    """Return the time that is *written*; None where it is none."""
    try:
        return None if written is None else times.read(written)
    except ValueError:
        return None
