"""A message: one neutral text of an event, before any escape, that every format for people is made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consumer.formats import texts

_FACT_LIMIT: Final = 400  # UTF-16 units: three amounts of 76 digits, grouped


class Severity(StrEnum):
    """How urgent a message is: a colour, or a word, of the receiver's."""

    CRITICAL = "critical"  # nothing is left, or access is cut off
    WARNING = "warning"
    INFO = "info"
    GOOD = "good"  # recovered, or paid


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a message's table. *label* is ours; *value* has names in it, and is not empty."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Message:
    """What an event says to a person.

    Attributes:
        title: one line, without a full stop.
        text: whole sentences: how much of how much, since when, what happens next.
        facts: ten at most.
        severity: how urgent it is.
    """

    title: str
    text: str
    facts: tuple[Fact, ...]
    severity: Severity


def facts(pairs: Iterable[tuple[str, str]]) -> tuple[Fact, ...]:
    """Return the facts of *pairs* of label and value, without those that have no value."""
    return tuple(Fact(label, texts.cut(value, _FACT_LIMIT)) for label, value in pairs if value)


def sentences(*parts: str) -> str:
    """Return the *parts* that say something as one text."""
    return " ".join(filter(None, parts))
