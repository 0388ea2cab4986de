"""Every rule type: what it is about, and the module with its judgement, its events and its sample.

The only place that knows them all. A type that is added to `RuleType` without a case here does not pass mypy, nor does
a module that lacks something of its protocol (`contracts.py`).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from consumer.decide.model import Occurrence, Reason
from consumer.decide.rules import balance_threshold, entitlement_reset, invoice_created, invoice_updated
from consumer.decide.rules.contracts import EntitlementRule, InvoiceRule
from schemas.events import Action, FeatureRef
from schemas.rules import Rule, RuleType, Spec


@dataclass(frozen=True, slots=True)
class AboutEntitlements:
    """A rule type that is judged on snapshots, resets and the ends of periods."""

    rules: EntitlementRule


@dataclass(frozen=True, slots=True)
class AboutInvoices:
    """A rule type that is judged on invoices."""

    rules: InvoiceRule


def of_type(kind: RuleType) -> AboutEntitlements | AboutInvoices:
    """Return what rules of *kind* are about, and the module that judges them."""
    match kind:
        case RuleType.BALANCE_THRESHOLD:
            return AboutEntitlements(balance_threshold)
        case RuleType.ENTITLEMENT_RESET:
            return AboutEntitlements(entitlement_reset)
        case RuleType.INVOICE_CREATED:
            return AboutInvoices(invoice_created)
        case RuleType.INVOICE_UPDATED:
            return AboutInvoices(invoice_updated)
        case _:
            assert_never(kind)


_ALL: Final = {kind: of_type(kind) for kind in RuleType}
ENTITLEMENTS: Final[Mapping[RuleType, EntitlementRule]] = {
    kind: about.rules for kind, about in _ALL.items() if isinstance(about, AboutEntitlements)
}
INVOICES: Final[Mapping[RuleType, InvoiceRule]] = {
    kind: about.rules for kind, about in _ALL.items() if isinstance(about, AboutInvoices)
}
REASONS: Final[Mapping[RuleType, tuple[Reason, ...]]] = {kind: about.rules.REASONS for kind, about in _ALL.items()}
ACTIONS: Final[Mapping[RuleType, tuple[Action, ...]]] = {kind: about.rules.ACTIONS for kind, about in _ALL.items()}


def is_about_invoices(kind: RuleType) -> bool:
    """Whether rules of *kind* are judged on invoices; else on entitlements."""
    return kind in INVOICES


def features_named(spec: Spec) -> tuple[str, ...] | None:
    """Return the ids or keys of the features that *spec* names; None: all of them, or it is about invoices."""
    about = ENTITLEMENTS.get(spec.type)
    return None if about is None else about.features(spec)


def sample(rule: Rule, feature: FeatureRef, at: dt.datetime) -> Occurrence:
    """Return an event that *rule* could make of *feature* at *at*: its first threshold reached, a reset, an invoice."""
    return _ALL[rule.type].rules.sample(rule, feature, at)
