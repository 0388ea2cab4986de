"""/notification/rules/{id}/test and /channels/{id}/test: a sample event, delivered as every other one is."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer import ids
from consumer.decide.payloads import freeze
from consumer.decide.rules import features_named, sample
from consumer.decide.sample_records import UNNAMED
from consumer.serve import bodies
from consumer.serve.api import channels, events, rules
from consumer.serve.api.alive import alive
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described
from consumer.serve.problems import bad_request, conflict
from consumer.store import configured, features, history, outbox
from consumer.store.configured import Selection, StoredChannel, StoredRule
from consumer.store.outbox import NewSample
from schemas import answers
from schemas.events import FeatureRef
from schemas.rules import BalanceThresholdSpec, Rule, RuleId


async def test_rule(call: Call) -> web.Response:
    """Send a sample of the rule's events to its channels."""
    stored = await rules.found(call)
    _check(stored, "rule", is_disabled=stored.disabled)
    return await _sent(call, stored.judged, await _feature(call, stored))


async def test_channel(call: Call) -> web.Response:
    """Send a sample to this channel alone: of a rule that sends to it, or else of one that there is not."""
    stored = await channels.found(call)
    _check(stored, "channel", is_disabled=stored.disabled_by is not None)
    which = Selection(with_disabled=True, channels=[stored.id], limit=1)
    of_channel = await configured.rule_page(call.served.database, call.namespace, which)
    for (first,) in of_channel.parts(1):
        return await _sent(call, first.judged, await _feature(call, first), stored.id)
    spec = BalanceThresholdSpec.model_validate(
        {"type": "entitlements.balance.threshold", "thresholds": [{"type": "usage_percentage", "value": 80}]}
    )
    # An id that no rule has, and of a rule's form: the channel's own.
    rule = Rule(id=RuleId(stored.id), namespace=call.namespace, name="Sample rule", spec=spec, channels=(stored.id,))
    return await _sent(call, rule, UNNAMED, stored.id)


def _check(stored: StoredChannel | StoredRule, what: str, *, is_disabled: bool) -> None:
    alive(stored, what, stored.id)
    if is_disabled:
        raise bad_request(f"{what} {stored.id}: is disabled: enable it to test it")


async def _feature(call: Call, stored: StoredRule) -> FeatureRef:
    """Return the first feature that the rule names, as records have shown it."""
    names = features_named(stored.spec)
    if not names:
        return UNNAMED
    seen = await features.seen(call.served.database, call.namespace, [names[0]])
    return seen.get(names[0]) or FeatureRef(names[0], names[0])


async def _sent(call: Call, rule: Rule, feature: FeatureRef, channel_id: str | None = None) -> web.Response:
    database, event_id = call.served.database, ids.new()
    occurrence = sample(rule, feature, await database.now())
    frozen = freeze(occurrence, event_id)
    made = NewSample(
        id=event_id,
        rule_id=rule.id,
        channel_id=channel_id,
        type=rule.type,
        payload=frozen.body,
        parties=frozen.parties,
        occurred_at=occurrence.occurred_at,
    )
    if not await outbox.write_sample(database, call.namespace, made):
        raise conflict("it was disabled or deleted a moment ago")
    await outbox.notify(database, sender="")
    event = await history.get(database, call.namespace, event_id)
    assert event is not None  # noqa: S101 - it was written a line above
    return bodies.answer((await events.shown_events(call, [event]))[0], HTTPStatus.CREATED)


_NOT_NOW: Final = {HTTPStatus.BAD_REQUEST: "It is disabled.", HTTPStatus.CONFLICT: "It is deleted."}

OPERATIONS: Final = (
    Operation(
        "test_rule",
        "POST",
        "/notification/rules/{rule}/test",
        test_rule,
        writes=True,
        about=Described(
            summary="Send a sample event to a rule's channels",
            answers={HTTPStatus.CREATED: answers.NotificationEvent},
            problems=_NOT_NOW,
        ),
    ),
    Operation(
        "test_channel",
        "POST",
        "/notification/channels/{channel}/test",
        test_channel,
        writes=True,
        about=Described(
            summary="Send a sample event to a channel alone",
            answers={HTTPStatus.CREATED: answers.NotificationEvent},
            problems=_NOT_NOW,
        ),
    ),
)
