"""Which reasons and actions a rule type can have: a metric has a series for each of these pairs, and for no other."""

from collections.abc import Mapping
from typing import Final

from consumer.decide.model import Reason
from schemas.events import Action
from schemas.rules import RuleType

_ALWAYS: Final = (Reason.DUPLICATE, Reason.RULE_GONE)  # found out by the write, whatever the rule
_OF_ENTITLEMENTS: Final = (Reason.STALE_PERIOD, Reason.NOT_METERED, Reason.INACTIVE, Reason.DELETED, *_ALWAYS)
REASONS: Final[Mapping[RuleType, tuple[Reason, ...]]] = {
    RuleType.BALANCE_THRESHOLD: (
        Reason.FIRST_CROSSING,
        Reason.REARMED,
        Reason.RECOVERED,
        Reason.ALREADY_FIRED,
        Reason.ALSO_CROSSED,
        Reason.BELOW,
        Reason.IGNORED_ON_CREATE,
        Reason.NO_ALLOWANCE,
        Reason.NO_BALANCE,
        Reason.LATE,
        *_OF_ENTITLEMENTS,
    ),
    RuleType.ENTITLEMENT_RESET: (
        Reason.RESET_MANUAL,
        Reason.RESET_AUTOMATIC,
        Reason.ALREADY_RESET,
        Reason.SAME_PERIOD,
        *_OF_ENTITLEMENTS,
    ),
    RuleType.INVOICE_CREATED: (Reason.INVOICE_CREATED, Reason.GATHERING, *_ALWAYS),
    RuleType.INVOICE_UPDATED: (
        Reason.STATE_CHANGED,
        Reason.SAME_STATE,
        Reason.STATUS_NOT_WANTED,
        Reason.GATHERING,
        Reason.LATE,
        *_ALWAYS,
    ),
}
ACTIONS: Final[Mapping[RuleType, tuple[Action, ...]]] = {
    RuleType.BALANCE_THRESHOLD: (Action.TRIGGERED, Action.RECOVERED),
    RuleType.ENTITLEMENT_RESET: (Action.TRIGGERED,),
    RuleType.INVOICE_CREATED: (Action.TRIGGERED,),
    RuleType.INVOICE_UPDATED: (Action.TRIGGERED,),
}
