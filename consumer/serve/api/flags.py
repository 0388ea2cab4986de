"""/notification/rules/{id}/flags.json: who has access, as flagd reads it (its HTTP sync), without a receiver between.

A flag for each feature of the rule: true, and false for customers with a threshold reached now that cuts
off. Never a set that might be wrong: what is not known is a problem, and flagd keeps what it has.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.serve.api import rules
from consumer.serve.api.alive import alive
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described
from consumer.serve.problems import ApiProblem, bad_request, conflict
from consumer.store import features, flags
from consumer.store.configured import StoredRule
from consumer.store.flags import CutOff
from schemas import answers, events
from schemas.rules import BalanceThresholdSpec
from schemas.thresholds import Threshold, ThresholdType

MOST_CUT_OFF: Final = 10_000  # flagd compares with one after the other, at each evaluation
WHOLE: Final = Decimal(100)
HAS_ACCESS, CUT_OFF = "access", "cut-off"


async def get_flags(call: Call) -> web.Response:
    """Return the flags, or 304 where they are those that the caller has."""
    stored = alive(await rules.found(call), "rule", call.named["rule"])
    spec, thresholds = _enforced(stored)
    key = (call.namespace, stored.id, tuple(thresholds), tuple(spec.features or ()))
    body = await call.served.flags.get(key, lambda: _read(call, stored.id, spec, thresholds))
    tag = hashlib.sha256(body).hexdigest()[:32]
    if any(one.value in {tag, "*"} for one in call.request.if_none_match or ()):
        answered = web.Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        await call.turn.take(len(body))
        answered = web.Response(body=body, content_type="application/json")
    answered.etag = tag
    return answered


def _enforced(stored: StoredRule) -> tuple[BalanceThresholdSpec, list[str]]:
    """Return the rule's spec, and its thresholds that cut off.

    Raises:
        Problem: it is no rule that access can follow.
    """
    spec = stored.spec
    if not isinstance(spec, BalanceThresholdSpec):
        raise bad_request(f"rule {stored.id}: is an {spec.type}: only thresholds cut off")
    if stored.disabled:
        raise conflict(f"rule {stored.id}: is disabled: who has access is not followed")
    if spec.rearm != "recovery":  # one that only notifies of a recovery is silent where 100 % is reached again
        raise conflict(f"rule {stored.id}: does not follow its thresholds down and up: it needs `rearm: recovery`")
    thresholds = [identity for identity, one in spec.distinct.items() if _cuts_off(one)]
    if not thresholds:
        raise conflict(f"rule {stored.id}: no threshold cuts off: 100 % of usage or more, or a balance of 0 or less")
    return spec, thresholds


def _cuts_off(threshold: Threshold) -> bool:
    """Whether access ends where it is reached. The handler under deploy/enforcement says the same."""
    match threshold.type.canonical:
        case ThresholdType.USAGE_PERCENTAGE:
            return threshold.value >= WHOLE
        case ThresholdType.BALANCE_VALUE:
            return threshold.value <= 0
        case _:
            return False


async def _read(call: Call, rule_id: str, spec: BalanceThresholdSpec, thresholds: list[str]) -> bytes:
    database, namespace = call.served.database, call.namespace
    found = await flags.cut_off(
        database, namespace, rule_id, thresholds, features=spec.features, limit=MOST_CUT_OFF + 1
    )
    if len(found) > MOST_CUT_OFF:
        detail = f"rule {rule_id}: more than {MOST_CUT_OFF} customers are cut off: let a webhook's receiver enforce it"
        raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
    if spec.features is None:
        named: Iterable[str] = await features.some_keys(database, namespace)
    else:
        named = await features.keys_of(database, namespace, spec.features)
    return events.encode(answers.Flags(flags=_flags(found, named)))


def _flags(found: Iterable[CutOff], named: Iterable[str]) -> dict[str, answers.Flag]:
    by_feature: dict[str, list[str]] = {feature: [] for feature in named}
    for feature, customer in sorted(found):
        by_feature.setdefault(feature, []).append(customer)
    return {feature: _flag(customers) for feature, customers in sorted(by_feature.items())}


def _flag(customers: list[str]) -> answers.Flag:
    is_one = {"in": [{"var": "targetingKey"}, customers]}
    return answers.Flag(
        state="ENABLED",
        variants={HAS_ACCESS: True, CUT_OFF: False},
        default_variant=HAS_ACCESS,
        targeting={"if": [is_one, CUT_OFF, HAS_ACCESS]},
    )


OPERATIONS: Final = (
    Operation(
        "get_rule_flags",
        "GET",
        "/notification/rules/{rule}/flags.json",
        get_flags,
        writes=False,
        about=Described(
            summary="Who has access to the rule's features, as flags that flagd reads: false for who is cut off",
            answers={HTTPStatus.OK: answers.Flags, HTTPStatus.NOT_MODIFIED: None},
            problems={
                HTTPStatus.BAD_REQUEST: "It has no thresholds.",
                HTTPStatus.CONFLICT: "It does not follow its thresholds (`rearm: recovery`), none of them cuts off, or"
                " it is disabled or deleted.",
                HTTPStatus.SERVICE_UNAVAILABLE: "Who has access is not known now, or too many are cut off.",
            },
        ),
    ),
)
