"""Rules: when to notify. One spec class a rule type; the field names are the API's and the rules file's."""

import datetime as dt
import functools
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NewType, Self

from pydantic import Field, StrictBool, StringConstraints, TypeAdapter, model_validator

from schemas.events import ThresholdPart, threshold_part
from schemas.model import Key, Metadata, Model, Name
from schemas.thresholds import Line, Threshold

RuleId = NewType("RuleId", str)
MAX_THRESHOLDS: Final = 100
MAX_CHANNELS: Final = 20
MAX_STATUSES: Final = 100
MAX_FEATURES: Final = 1000  # a rule about more of them is about all

# `draft`, or `draft.waiting_auto_approval`: not a closed set, a metering of one's own may have states of its own.
Status = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
Features = Annotated[
    Annotated[tuple[Key, ...], Field(min_length=1, max_length=MAX_FEATURES)] | None,
    Field(description="Ids or keys of the features it is about; all of them where absent."),
]


class RuleType(StrEnum):
    """What a rule watches."""

    __hash__ = str.__hash__  # Enum's own is ten times as slow

    BALANCE_THRESHOLD = "entitlements.balance.threshold"
    ENTITLEMENT_RESET = "entitlements.reset"
    INVOICE_CREATED = "invoice.created"
    INVOICE_UPDATED = "invoice.updated"


class BalanceThresholdSpec(Model):
    """Configuration of `entitlements.balance.threshold`."""

    type: Literal[RuleType.BALANCE_THRESHOLD]
    thresholds: Annotated[
        tuple[Threshold, ...],
        Field(min_length=1, max_length=MAX_THRESHOLDS, description="Each makes an event of its own."),
    ]
    features: Features = None
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
        Field(
            min_length=1,
            max_length=2,
            description="Notify also when a fired threshold is no longer reached.",
            json_schema_extra={"contains": {"const": "triggered"}},
        ),
    ] = ("triggered",)
    on_create: Annotated[
        Literal["evaluate", "ignore"],
        Field(
            description="What is reached already when the rule is made or enabled, or the threshold added, fires at"
            " the entitlement's next record, or stays silent in a period that began before."
        ),
    ] = "evaluate"

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if "triggered" not in self.notify_on:
            raise ValueError(
                "notifyOn: must have triggered: a recovery is never notified without what it recovers from"
            )
        if self.emit == "highest" and self.looks_back:
            raise ValueError("emit: highest goes with neither rearm: recovery nor notifyOn: recovered")
        return self

    @functools.cached_property
    def notifies_recovery(self) -> bool:
        """Whether a fired threshold that is no longer reached makes an event."""
        return "recovered" in self.notify_on

    @functools.cached_property
    def looks_back(self) -> bool:
        """Whether the rule follows its thresholds down as well: then the order of records counts."""
        return self.rearm == "recovery" or self.notifies_recovery

    @functools.cached_property
    def distinct(self) -> dict[str, Threshold]:
        """The thresholds by identity: the same one twice in a rule is one, as first written."""
        found: dict[str, Threshold] = {}
        for threshold in self.thresholds:
            found.setdefault(threshold.identity, threshold)
        return found

    @functools.cached_property
    def lines(self) -> tuple[Line, ...]:
        """The distinct thresholds, to be judged by."""
        return tuple(threshold.line for threshold in self.distinct.values())

    @functools.cached_property
    def parts(self) -> list[ThresholdPart]:
        """The thresholds as payloads show them."""
        return [threshold_part(threshold) for threshold in self.thresholds]


class ResetSpec(Model):
    """Configuration of `entitlements.reset`."""

    type: Literal[RuleType.ENTITLEMENT_RESET]
    features: Features = None


class InvoiceCreatedSpec(Model):
    """Configuration of `invoice.created`: there is none."""

    type: Literal[RuleType.INVOICE_CREATED]


class InvoiceUpdatedSpec(Model):
    """Configuration of `invoice.updated`."""

    type: Literal[RuleType.INVOICE_UPDATED]
    statuses: Annotated[
        Annotated[tuple[Status, ...], Field(min_length=1, max_length=MAX_STATUSES)] | None,
        Field(description="States to notify of, short (on entering it from another) or extended; all where absent."),
    ] = None


Spec = BalanceThresholdSpec | ResetSpec | InvoiceCreatedSpec | InvoiceUpdatedSpec
_spec: Final = TypeAdapter[Spec](Annotated[Spec, Field(discriminator="type")])


def read_spec(given: Mapping[str, Any]) -> Spec:
    """Return the spec of *given*, its fields by either of their names.

    Raises:
        ValidationError: it is none that this release knows.
    """
    return _spec.validate_python(given)


class RuleFields(Model):
    """What every rule has beside its spec, as a person writes it; `channels` are keys in a rules file."""

    name: Name
    channels: Annotated[
        tuple[Key, ...],
        Field(min_length=1, max_length=MAX_CHANNELS, description="Ids; in a file, keys of its channels."),
    ]
    key: Annotated[Key | None, Field(description="By which `tollbell apply` finds it again.")] = None
    disabled: Annotated[StrictBool, Field(description="While true, no record makes an event of it.")] = False
    metadata: Metadata

    @functools.cached_property
    def spec(self) -> Spec:
        """What is judged; made once, for of a file's rules it is asked again and again."""
        return read_spec({name: getattr(self, name) for name in _of_spec(type(self))})


@functools.cache
def _of_spec(config: type[RuleFields]) -> tuple[str, ...]:
    """Return the fields of the spec: a model iterates over what it has computed as well."""
    return tuple(name for name in config.model_fields if name not in RuleFields.model_fields)


class BalanceThresholdRuleConfig(RuleFields, BalanceThresholdSpec):
    """A rule about levels of usage and balance."""


class ResetRuleConfig(RuleFields, ResetSpec):
    """A rule about new usage periods, manual or automatic."""


class InvoiceCreatedRuleConfig(RuleFields, InvoiceCreatedSpec):
    """A rule about new invoices."""


class InvoiceUpdatedRuleConfig(RuleFields, InvoiceUpdatedSpec):
    """A rule about invoices that change their state."""


RuleConfig = Annotated[
    BalanceThresholdRuleConfig | ResetRuleConfig | InvoiceCreatedRuleConfig | InvoiceUpdatedRuleConfig,
    Field(discriminator="type"),
]


class Since(Model):
    """When, and with which revision of the catalog, a threshold came into force under `onCreate: ignore`."""

    revision: int
    at: dt.datetime


NOTHING_IGNORED: Final[Mapping[str, Since]] = {}


class Rule(Model):
    """A rule as the judgement sees it.

    Attributes:
        channels: ids, in the order of the rule.
        ignoring: by identity, the thresholds that came into force under `onCreate: ignore`.
        key: for people who read the log; nothing is judged by it.
    """

    id: RuleId
    namespace: str
    name: Name
    spec: Spec
    channels: tuple[str, ...]
    ignoring: Mapping[str, Since] = NOTHING_IGNORED
    key: str | None = None

    @property
    def type(self) -> RuleType:
        """The rule's type."""
        return self.spec.type


def ignoring(
    after: Spec, since: Since, *, before: Spec | None = None, kept: Mapping[str, Since] = NOTHING_IGNORED
) -> Mapping[str, Since]:
    """Return which thresholds of a rule that becomes *after* ignore what is reached already, and since when.

    What counts is the setting under which a threshold came into force: a rule that was made to evaluate, and is set to
    ignore later, has nothing to ignore.

    Args:
        after: the spec, of a rule that is enabled.
        since: of this change.
        before: the spec as it was; None for a rule that is made now, or was disabled.
        kept: what was returned for *before*.
    """
    if not isinstance(after, BalanceThresholdSpec) or after.on_create != "ignore":
        return NOTHING_IGNORED
    known = before.distinct.keys() if isinstance(before, BalanceThresholdSpec) else set[str]()
    stay = {identity: kept[identity] for identity in after.distinct if identity in kept}
    return stay | dict.fromkeys(after.distinct.keys() - known, since)
