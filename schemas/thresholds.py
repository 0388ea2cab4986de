"""A rule's lines: what is compared, and with what exact value."""

import functools
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple

from pydantic import PlainSerializer, WithJsonSchema, model_validator
from pydantic.functional_validators import BeforeValidator

from schemas import amounts
from schemas.model import Model

_ZERO: Final = Decimal(0)
_PER_CENT: Final = -2  # decimal places


class ThresholdType(StrEnum):
    """What a threshold compares; the two old names are the reference product's deprecated aliases."""

    USAGE_PERCENTAGE = "usage_percentage"
    USAGE_VALUE = "usage_value"
    BALANCE_VALUE = "balance_value"
    PERCENT = "PERCENT"
    NUMBER = "NUMBER"

    __hash__ = str.__hash__  # Enum's own is ten times as slow

    @property
    def canonical(self) -> "ThresholdType":
        """The name of which this is an alias, or itself."""
        return _ALIASES.get(self, self)


_ALIASES: Final = {
    ThresholdType.PERCENT: ThresholdType.USAGE_PERCENTAGE,
    ThresholdType.NUMBER: ThresholdType.USAGE_VALUE,
}


def _exact(value: object) -> Decimal:
    """Take a number without going through a binary float: ints and Decimals as they are, strings by JSON's grammar."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns ValueError into its own error
    if isinstance(value, float | str):
        value = str(value)
        if not amounts.GRAMMAR.fullmatch(value.encode()):
            raise ValueError("must be a number, such as 80 or 99.5")
    try:
        exact = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"has an exponent beyond ±{amounts.MAX_EXPONENT}") from None
    if problem := amounts.problem(exact):
        raise ValueError(problem)
    return exact


Exact = Annotated[
    Decimal,
    BeforeValidator(_exact),
    PlainSerializer(lambda value: value, return_type=Any),
    WithJsonSchema(
        {
            "description": "Exact: a number, or a string of JSON's number grammar. A usage is above 0.",
            "type": ["number", "string"],
            "exclusiveMinimum": -(10 ** (amounts.MAX_EXPONENT + 1)),
            "exclusiveMaximum": 10 ** (amounts.MAX_EXPONENT + 1),
            "pattern": amounts.STRING_PATTERN,
        }
    ),
]


class Threshold(Model):
    """One of a rule's lines. Usage kinds are reached from below, `balance_value` from above."""

    type: ThresholdType
    value: Exact

    @model_validator(mode="after")
    def _positive(self) -> "Threshold":
        if self.value <= 0 and self.type.canonical is not ThresholdType.BALANCE_VALUE:
            raise ValueError("value: must be above 0")
        return self

    @functools.cached_property
    def identity(self) -> str:
        """Canonical type and exact value: the same for `80`, `80.0` and `PERCENT 80`; part of an event's identity."""
        value = amounts.EXACT.normalize(self.value) if self.value else _ZERO  # -0 is 0
        return f"{self.type.canonical}:{value:f}"

    @property
    def line(self) -> "Line":
        """The same, to be judged by."""
        kind = self.type.canonical
        share = amounts.EXACT.scaleb(self.value, _PER_CENT) if kind is ThresholdType.USAGE_PERCENTAGE else None
        return Line(self.identity, kind is ThresholdType.BALANCE_VALUE, self.value, share, self)


class Line(NamedTuple):
    """A threshold as it is judged: to read a model's fields costs more than to compare what is in them.

    Attributes:
        identity: the threshold's.
        is_balance: whether it is reached from above.
        value: as written.
        share: of a percentage: what part of the allowance it is, exactly: two digits further, not divided; else None.
        threshold: whose line it is.
    """

    identity: str
    is_balance: bool
    value: Decimal
    share: Decimal | None
    threshold: Threshold
