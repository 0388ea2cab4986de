"""/notification/rules/{id}/state: which thresholds have fired in the current period: subject, time and level.

Found by the rule's events, newest first, each held against what is remembered now: a mark knows its threshold, its
event knows the customer and subject.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from aiohttp import web

from consumer.decide.model import Document, Mark
from consumer.serve import bodies, large
from consumer.serve.api import rules
from consumer.serve.api.call import Call, Operation
from consumer.serve.bodies import PAGE_SIZE
from consumer.serve.described import TEXT, Described, Parameter
from consumer.serve.problems import bad_request
from consumer.store import history, memory
from consumer.store.configured import StoredRule
from consumer.store.history import Event, EventFilter
from consumer.store.memory import EntitlementKey
from schemas import answers, times
from schemas.events import threshold_part
from schemas.rules import BalanceThresholdSpec, RuleId
from schemas.thresholds import Threshold

MOST_LOOKED_AT: Final = 2_000  # events of one answer: of older periods there may be very many
MOST_BYTES: Final = 4 * large.ANSWER_BYTES  # of these
MOST_OF_EVENT: Final = f"{2 * large.ANSWER_BYTES // 2**20} MiB"


class _Period(msgspec.Struct):
    from_: str = msgspec.field(name="from")


class _Entitlement(msgspec.Struct, rename="camel"):
    id: str
    current_usage_period: msgspec.Raw


class _Crossing(msgspec.Struct, rename="camel"):
    episode: int
    also_crossed: list[dict[str, Any]]


class _Data(msgspec.Struct):
    """What an event of a threshold says, as far as it counts here; the rest is repeated as it is."""

    action: str
    threshold: dict[str, Any]
    entitlement: _Entitlement
    crossing: _Crossing
    feature: msgspec.Raw
    subject: msgspec.Raw = msgspec.Raw()
    customer: msgspec.Raw = msgspec.Raw()


class _Payload(msgspec.Struct):
    data: _Data


_payload: Final = msgspec.json.Decoder(_Payload, float_hook=Decimal)
_period: Final = msgspec.json.Decoder(_Period)


async def get_state(call: Call) -> web.Response:
    """Return what has fired in current periods, newest first, some hundred at a time; `nextCursor` gives more."""
    query = call.query()
    cursor = query.one("cursor")
    query.check()
    stored = await rules.found(call)
    if not isinstance(stored.spec, BalanceThresholdSpec):
        raise bad_request(f"rule {stored.id}: is an {stored.spec.type}: only thresholds have a state")
    items = large.Items()
    looked_at, read, is_last = 0, 0, False
    while not is_last and len(items.raws) < PAGE_SIZE and looked_at < MOST_LOOKED_AT and _has_room(items, read):
        wanted = EventFilter(rules=[stored.id], after=cursor, descending=True, limit=PAGE_SIZE)
        listed = await history.some(call.served.database, call.namespace, wanted)
        is_last = len(listed) < PAGE_SIZE
        for part in large.parts(listed):
            if not _has_room(items, read):
                is_last = False
                break
            await call.turn.take(read := read + sum(one.bytes for one in part))
            await _add_fired(call, stored, [one.id for one in part], items)
            cursor, looked_at = part[-1].id, looked_at + len(part)
    fired = cast("list[answers.FiredThreshold]", items.raws)
    return bodies.answer(answers.RuleState(items=fired, next_cursor=None if is_last else cursor))


def _has_room(items: large.Items, read: int) -> bool:
    return not items.is_full and read < MOST_BYTES


async def _add_fired(call: Call, stored: StoredRule, ids: Sequence[str], items: large.Items) -> None:
    events = await history.read(call.served.database, call.namespace, ids)
    fired = [(event, _payload.decode(event.payload).data) for event in events]
    keys = [EntitlementKey(call.namespace, data.entitlement.id) for _, data in fired]
    documents = await memory.load(call.served.database, keys)
    for key, (event, data) in zip(keys, fired, strict=True):
        if data.action == "triggered":
            for item in _of_event(stored, event, data, documents[key]):
                await items.add(item)
                if items.bytes > 2 * large.ANSWER_BYTES:  # a hundred thresholds, each with all of its customer
                    raise bad_request(f"event {event.id}: its thresholds take more than {MOST_OF_EVENT} here")


def _of_event(stored: StoredRule, event: Event, data: _Data, document: object) -> Iterator[answers.FiredThreshold]:
    """Give the thresholds that *event* notified of and that are still marked by it."""
    assert isinstance(document, Document)  # noqa: S101 - found by an entitlement's key
    start, begins = (
        _period.decode(data.entitlement.current_usage_period).from_,
        document.begins_at or document.period_from,
    )
    if document.ended or begins is None or times.parse(start) != begins:
        return
    assert isinstance(stored.spec, BalanceThresholdSpec)  # noqa: S101 - looked at before
    marks = document.marks.get(RuleId(stored.id), {})
    for part in (data.threshold, *data.crossing.also_crossed):
        threshold = Threshold.model_validate(part)
        mark = marks.get(threshold.identity)
        if mark is not None and mark.episode == data.crossing.episode:
            yield _item(stored.spec, event, data, threshold, mark)


def _item(
    spec: BalanceThresholdSpec, event: Event, data: _Data, threshold: Threshold, mark: Mark
) -> answers.FiredThreshold:
    return answers.FiredThreshold(
        event_id=event.id,
        threshold=threshold_part(threshold),
        entitlement_id=data.entitlement.id,
        period=data.entitlement.current_usage_period,
        episode=mark.episode,
        at=times.text(mark.at),
        level=mark.level,
        feature=data.feature,
        subject=data.subject if bytes(data.subject) else None,
        customer=data.customer if bytes(data.customer) else None,
        is_reached=mark.state == "fired" if spec.looks_back else None,
    )


OPERATIONS: Final = (
    Operation(
        "get_rule_state",
        "GET",
        "/notification/rules/{rule}/state",
        get_state,
        writes=False,
        about=Described(
            summary="What has fired in current periods, of which subject, when and at what level, newest first",
            answers={HTTPStatus.OK: answers.RuleState},
            query=(Parameter("cursor", TEXT, "`nextCursor` of the answer before."),),
            problems={HTTPStatus.BAD_REQUEST: "It has no thresholds."},
        ),
    ),
)
