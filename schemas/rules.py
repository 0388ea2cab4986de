"""Rules: when to notify. One spec class a rule type; the field names are the API's and the rules file's."""

import functools
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NewType, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.functional_validators import BeforeValidator

from schemas import amounts

RuleId = NewType("RuleId", str)
MAX_THRESHOLDS: Final = 100
MAX_CHANNELS: Final = 20

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


class RuleType(StrEnum):
    """What a rule watches."""

    BALANCE_THRESHOLD = "entitlements.balance.threshold"


class ThresholdType(StrEnum):
    """What a threshold compares; the two old names are the reference product's deprecated aliases."""

    USAGE_PERCENTAGE = "usage_percentage"
    USAGE_VALUE = "usage_value"
    BALANCE_VALUE = "balance_value"
    PERCENT = "PERCENT"
    NUMBER = "NUMBER"

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
            "description": "Exact: a number, or a string of JSON's number grammar. Usage above 0, balance 0 or more.",
            "type": ["number", "string"],
            "pattern": amounts.STRING_PATTERN,
        }
    ),
]


class Model(BaseModel):
    """What the models of configuration share: camelCase outside, immutable, and no field that nobody reads."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_enum_values=False,
    )


class Threshold(Model):
    """One of a rule's lines. Usage kinds are reached from below, `balance_value` from above."""

    type: ThresholdType
    value: Exact

    @model_validator(mode="after")
    def _positive(self) -> "Threshold":
        if self.type.canonical is ThresholdType.BALANCE_VALUE:
            if self.value < 0:
                raise ValueError("value: must be 0 or more")
        elif self.value <= 0:
            raise ValueError("value: must be above 0")
        return self

    @functools.cached_property
    def identity(self) -> str:
        """Canonical type and exact value: the same for `80`, `80.0` and `PERCENT 80`; part of an event's identity."""
        value = amounts.EXACT.normalize(self.value.copy_abs())  # never below 0; -0 is 0
        return f"{self.type.canonical}:{value:f}"


class BalanceThresholdSpec(Model):
    """Configuration of `entitlements.balance.threshold`."""

    type: Literal[RuleType.BALANCE_THRESHOLD]
    thresholds: Annotated[
        tuple[Threshold, ...],
        Field(min_length=1, max_length=MAX_THRESHOLDS, description="Each makes an event of its own."),
    ]
    features: Annotated[
        Annotated[tuple[Key, ...], Field(min_length=1)] | None,
        Field(description="Ids or keys of the features it is about; all of them where absent."),
    ] = None
    emit: Annotated[
        Literal["each", "highest"],
        Field(
            description="Every threshold reached at a record makes an event, or the most advanced of each kind alone."
        ),
    ] = "each"
    rearm: Annotated[
        Literal["period", "recovery"],
        Field(
            description="A threshold fires once for each usage period, or again when it is reached after a recovery."
        ),
    ] = "period"
    notify_on: Annotated[
        tuple[Literal["triggered", "recovered"], ...],
        Field(min_length=1, max_length=2, description="Tell also when a fired threshold is no longer reached."),
    ] = ("triggered",)
    on_create: Annotated[
        Literal["evaluate"], Field(description="What is reached already fires at the entitlement's next record.")
    ] = "evaluate"

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if "triggered" not in self.notify_on:
            raise ValueError("notifyOn: must have triggered: no recovery is told without what it recovers from")
        if self.emit == "highest" and self.looks_back:
            raise ValueError("emit: highest goes with neither rearm: recovery nor notifyOn: recovered")
        return self

    @property
    def tells_recovery(self) -> bool:
        """Whether a fired threshold that is no longer reached makes an event."""
        return "recovered" in self.notify_on

    @property
    def looks_back(self) -> bool:
        """Whether the rule follows its thresholds down as well: then the order of records counts."""
        return self.rearm == "recovery" or self.tells_recovery

    @functools.cached_property
    def distinct(self) -> dict[str, Threshold]:
        """The thresholds by identity: the same one twice in a rule is one, as first written."""
        found: dict[str, Threshold] = {}
        for threshold in self.thresholds:
            found.setdefault(threshold.identity, threshold)
        return found


class RuleConfig(BalanceThresholdSpec):
    """A rule as a person writes it; `channels` are keys in a rules file."""

    name: Name
    channels: Annotated[
        tuple[Key, ...], Field(min_length=1, max_length=MAX_CHANNELS, description="Keys of channels of the same file.")
    ]
    key: Annotated[Key | None, Field(description="By which `tollbell apply` finds it again.")] = None
    disabled: Annotated[bool, Field(description="While true, no record makes an event of it.")] = False
    metadata: Annotated[dict[str, str], Field(default_factory=dict, description="Yours; kept as it is.")]

    @property
    def spec(self) -> BalanceThresholdSpec:
        """What is judged."""
        return BalanceThresholdSpec.model_validate(
            {name: getattr(self, name) for name in BalanceThresholdSpec.model_fields}
        )


class Rule(Model):
    """A rule as the judgement sees it. `channels` are ids, in the order of the rule."""

    id: RuleId
    namespace: str
    name: Name
    spec: BalanceThresholdSpec
    channels: tuple[str, ...]

    @property
    def type(self) -> RuleType:
        """The rule's type."""
        return self.spec.type
