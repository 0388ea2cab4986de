"""Events to try a template on: the fullest of each type, and those that lack what an event may lack."""

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consumer.decide.rules import INVOICES
from consumer.formats.preview import samples
from schemas.events import encode
from schemas.reading import read_all
from schemas.rules import RuleType

_AT: Final = dt.datetime(2026, 11, 22, 10, 15, 30, 123000, tzinfo=dt.UTC)
_REQUIRED_ALONE: Final = "a record with what is required alone"
_OF_AN_INVOICE: Final = frozenset({"id", "status", "statusDetails", "action", "rule", "previousStatus"})


@dataclass(frozen=True, slots=True)
class Example:
    """An event.

    Attributes:
        name: what it shows, for people.
        type: the event's.
        payload: its frozen data.
        is_usual: the fullest of its type; else it lacks what an event may lack.
    """

    name: str
    type: RuleType
    payload: bytes
    is_usual: bool


@functools.cache
def examples() -> tuple[Example, ...]:
    """Return the examples, the usual ones first."""
    usual = dict(samples(_AT))
    crossing, reset = usual[RuleType.BALANCE_THRESHOLD], usual[RuleType.ENTITLEMENT_RESET]
    unknown = {"value": {"hasAccess": True}}
    closed = {"action": "recovered", "crossing": {"episode": 1, "alsoCrossed": [], "cause": "period_end"}} | unknown
    rare = (
        ("a recovery at the end of a period", RuleType.BALANCE_THRESHOLD, _changed(crossing, closed)),
        (_REQUIRED_ALONE, RuleType.BALANCE_THRESHOLD, _bare(crossing)),
        ("a reset by the clock", RuleType.ENTITLEMENT_RESET, _changed(reset, unknown)),
        (_REQUIRED_ALONE, RuleType.ENTITLEMENT_RESET, _bare(reset)),
        *((_REQUIRED_ALONE, type_, _bare_invoice(usual[type_])) for type_ in INVOICES),
    )
    return (
        *(Example("a sample", type_, event, is_usual=True) for type_, event in usual.items()),
        *(Example(name, type_, event, is_usual=False) for name, type_, event in rare),
    )


def _bare(event: bytes) -> bytes:
    """Return what is left where a native record has nothing but what is required."""
    data = read_all(event)["data"]
    period = {"from": data["entitlement"]["currentUsagePeriod"]["from"]}
    members = {
        "customer": None,
        "subject": None,
        "feature": {"key": data["feature"]["key"]},
        "entitlement": {"id": data["entitlement"]["id"], "type": "metered", "currentUsagePeriod": period},
        "value": {"usage": data["value"]["usage"], "hasAccess": True},
    }
    return _changed(event, members)


def _bare_invoice(event: bytes) -> bytes:
    absent = dict.fromkeys(read_all(event)["data"].keys() - _OF_AN_INVOICE)
    return _changed(event, absent)


def _changed(event: bytes, members: Mapping[str, object]) -> bytes:
    """Return *event* with other *members* of its data; None takes one away."""
    whole = read_all(event)
    data = {**whole["data"], **members}
    absent = {name for name, member in members.items() if member is None}
    return encode({**whole, "data": {name: member for name, member in data.items() if name not in absent}})
