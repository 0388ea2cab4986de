"""/notification/rules/{id}/state: which thresholds have fired in the current period, for whom, when and at what level.

Found by the rule's events, newest first, each held against what is remembered now: a mark knows its threshold, its
event knows for whom it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from consumer.decide.model import Document, Mark
from consumer.serve import bodies
from consumer.serve.api import rules
from consumer.serve.api.call import Call, Operation
from consumer.serve.bodies import PAGE_SIZE
from consumer.serve.described import TEXT, About, Parameter
from consumer.serve.problems import bad_request
from consumer.store import history
from consumer.store.configured import StoredRule
from consumer.store.history import Event, Wanted
from consumer.store.memory import EntitlementKey, Memory
from schemas import answers, times
from schemas.events import threshold_part
from schemas.reading import read_all
from schemas.rules import BalanceThresholdSpec, RuleId
from schemas.thresholds import Threshold

MOST_LOOKED_AT: Final = 2_000  # events of one answer: of older periods there may be very many


async def get_state(call: Call) -> web.Response:
    """Return what has fired in current periods, newest first, some hundred at a time; `nextCursor` gives more."""
    query = call.query()
    cursor = query.one("cursor")
    query.check()
    stored = await rules.found(call)
    if not isinstance(stored.spec, BalanceThresholdSpec):
        raise bad_request(f"rule {stored.id}: is an {stored.spec.type}: only thresholds have a state")
    items: list[answers.FiredThreshold] = []
    looked_at = 0
    while len(items) < PAGE_SIZE and looked_at < MOST_LOOKED_AT:
        wanted = Wanted(rules=[stored.id], after=cursor, descending=True, limit=PAGE_SIZE)
        events = await history.some(call.served.database, call.namespace, wanted)
        items += await _fired(call, stored, events)
        looked_at += len(events)
        cursor = events[-1].id if len(events) == PAGE_SIZE else None
        if cursor is None:
            break
    return bodies.answer(answers.RuleState(items=items, next_cursor=cursor))


async def _fired(call: Call, stored: StoredRule, events: Sequence[Event]) -> list[answers.FiredThreshold]:
    payloads = [(event, read_all(event.payload)["data"]) for event in events]
    keys = [EntitlementKey(call.namespace, str(data["entitlement"]["id"])) for _, data in payloads]
    documents = await Memory(call.served.database, limit=0).load(keys)
    return [
        item
        for key, (event, data) in zip(keys, payloads, strict=True)
        if data["action"] == "triggered"
        for item in _of_event(stored, event, data, documents[key])
    ]


def _of_event(
    stored: StoredRule, event: Event, data: Mapping[str, Any], document: object
) -> Iterator[answers.FiredThreshold]:
    """Give the thresholds that *event* told of and that are still marked by it."""
    assert isinstance(document, Document)  # noqa: S101 - found by an entitlement's key
    start = data["entitlement"]["currentUsagePeriod"]["from"]
    if document.ended or times.parse(start) != (document.begins_at or document.period_from):
        return
    assert isinstance(stored.spec, BalanceThresholdSpec)  # noqa: S101 - looked at before
    marks = document.marks.get(RuleId(stored.id), {})
    for told in (data["threshold"], *data["crossing"]["alsoCrossed"]):
        threshold = Threshold.model_validate(told)
        mark = marks.get(threshold.identity)
        if mark is not None and mark.episode == data["crossing"]["episode"]:
            yield _item(stored.spec, event, data, threshold, mark)


def _item(
    spec: BalanceThresholdSpec, event: Event, data: Mapping[str, Any], threshold: Threshold, mark: Mark
) -> answers.FiredThreshold:
    return answers.FiredThreshold(
        event_id=event.id,
        threshold=threshold_part(threshold),
        entitlement_id=str(data["entitlement"]["id"]),
        period=data["entitlement"]["currentUsagePeriod"],
        episode=mark.episode,
        at=times.text(mark.at),
        level=mark.level,
        feature=data["feature"],
        subject=data.get("subject"),
        customer=data.get("customer"),
        is_reached=mark.state == "fired" if spec.looks_back else None,
    )


OPERATIONS: Final = (
    Operation(
        "get_rule_state",
        "GET",
        "/notification/rules/{rule}/state",
        get_state,
        writes=False,
        about=About(
            summary="What has fired in current periods, for whom, when and at what level, newest first",
            answers={HTTPStatus.OK: answers.RuleState},
            query=(Parameter("cursor", TEXT, "`nextCursor` of the answer before."),),
            problems={HTTPStatus.BAD_REQUEST: "It has no thresholds."},
        ),
    ),
)
