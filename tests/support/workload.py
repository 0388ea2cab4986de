"""Rules and records of the oracle's strategies as the service gets them, and its events in the oracle's words."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import inf, isinf
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.property.oracle import Story
from tests.property.strategies import INVOICE_RULES, ONCE, billed, shown, thresholds
from tests.property.words import CANONICAL, About, Billed, Event, Line, Rule, Shown
from tests.property.world import TYPES
from tests.support.factories import OPENMETER_ENTITLEMENT, openmeter_record

START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
# All periods are over when the first record is calculated: an earlier start is never an anchor that moved back, however
# often it is read again; and the clock has to end what has fired alone, which it does when all is read (`Stage.ends`).
SINCE = 5000
# One end for each start: a reset's kind is then the same, whatever is read again.
PERIODS = ((0, 1000), (1000, 2000), (1500, 2500), (2500, 3500))
ENTITLEMENTS: tuple[About, ...] = (("default", "ent-1"), ("default", "ent-2"))
ON_CREATE = st.sampled_from(["evaluate", "evaluate", "ignore"])
RULES = st.fixed_dictionaries(
    {
        "once": thresholds(ONCE, on_create=ON_CREATE),
        "any": thresholds(on_create=ON_CREATE),
        "of-a-feature": thresholds(features=st.sampled_from([frozenset({"f-1"}), frozenset({"api_calls"})])),
        "reset": st.just(Rule("reset")),
        "created": st.just(Rule("created")),
        "invoice": INVOICE_RULES,
    }
)
RECORDS = shown(
    ENTITLEMENTS,
    PERIODS,
    ("usage",) * 8 + ("reset", "delete", "unmetered"),
    least=30,
    since=SINCE,
    active_to=st.sampled_from([inf] * 8 + [SINCE + 20]),
)
LIVES_ON = "ent-1"  # nothing deletes it, in any workload: its alarms are all closed in the end


@dataclass(frozen=True, slots=True)
class Workload:
    """What is sent to one namespace, in order of arrival."""

    namespace: str
    rules: dict[str, Rule]
    records: Sequence[Shown | Billed]

    def story(self) -> Story:
        """What the oracle expects of records in this very order."""
        story = Story()
        for name, rule in self.rules.items():
            story.edited(name, rule, inf)  # made after all the periods began
        for record in self.records:
            if isinstance(record, Billed):
                story.billed(record)
            else:
                story.shown(record, inf)
        for about in story.memories:
            story.period_ends(about, inf)
        return story


def workloads(number: int, of_seed: int) -> list[Workload]:
    """*number* of them, the same ones for the same seed."""
    found: list[Workload] = []

    @seed(of_seed)
    @settings(max_examples=number + 1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(RULES, RECORDS, billed(least=8), st.randoms(use_true_random=False))
    def draw(rules: dict[str, Rule], shows: list[Shown], bills: list[Billed], random: Random) -> None:
        namespace = f"ns-{len(found)}"
        of_it = {name: rule._replace(namespace=namespace) for name, rule in rules.items()}
        records = [*map(_derived, _going_on(shows, random)), *(_apart(one, n) for n, one in enumerate(bills))]
        about = [one._replace(about=(namespace, one.about[1])) for one in records]
        found.append(Workload(namespace, of_it, _arriving(about[: len(shows)], about[len(shows) :], random)))

    draw()
    return found[1:]  # the first one is the least of all


def _going_on(shows: Sequence[Shown], random: Random) -> list[Shown]:
    """*shows* whose periods mostly follow each other; one in eight is of whatever period it was."""
    periods = sorted((one.period, one.end) for one in shows)
    return [
        one if random.randrange(8) == 0 else one._replace(period=start, end=end)
        for one, (start, end) in zip(shows, periods, strict=True)
    ]


def _derived(record: Shown) -> Shown:
    """*record* as a native one is understood: usage is required, and usage and allowance leave one balance."""
    if record.kind == "delete" and record.about[1] == LIVES_ON:
        record = record._replace(kind="usage")
    usage = record.usage or "10"
    left = None if record.allowance is None else str(max(Fraction(record.allowance) - Fraction(usage), Fraction(0)))
    return record._replace(usage=usage, balance=left)


def _apart(record: Billed, n: int) -> Billed:
    """*record* at a time of its own: of two of one time the later one to come counts, also when it comes again."""
    return record._replace(at=100 * record.at + n)


def _arriving(shows: Sequence[Shown], bills: Sequence[Billed], random: Random) -> list[Shown | Billed]:
    """All of them, each kind in its own order, one in four followed by one that has come before."""
    first: list[Sequence[Shown | Billed]] = [shows] * len(shows) + [bills] * len(bills)
    random.shuffle(first)
    ones = {id(shows): iter(shows), id(bills): iter(bills)}
    found: list[Shown | Billed] = []
    for of_kind in first:
        found.append(next(ones[id(of_kind)]))
        if random.randrange(4) == 0:
            found.append(random.choice(found))
    return found


def rules_file(workload: Workload, url: str) -> str:
    """The file for `tollbell apply`: JSON is YAML."""
    channel = {
        "key": "hook",
        "type": "WEBHOOK",
        "name": "Hook",
        "url": url,
        "customHeaders": {"X-Webhook-Secret": "hush-hush"},
        "signingSecret": "${HOOK_SECRET}",
        "concurrency": 50,
    }
    rules = [_written(name, rule) for name, rule in workload.rules.items()]
    return json.dumps({"namespace": workload.namespace, "channels": [channel], "rules": rules})


def _written(name: str, rule: Rule) -> dict[str, object]:
    given: dict[str, object] = {"key": name, "type": TYPES[rule.type], "name": name, "channels": ["hook"]}
    if rule.type == "balance":
        given["thresholds"] = [{"type": kind, "value": value} for kind, value in rule.written]
        given |= {"emit": rule.emit, "rearm": rule.rearm, "onCreate": rule.on_create}
        given["notifyOn"] = ["triggered", "recovered"] if rule.notifies_recovered else ["triggered"]
    return given | {name: sorted(of_it) for name, of_it in _lists(rule).items() if of_it}


def _lists(rule: Rule) -> dict[str, frozenset[str]]:
    return {"features": rule.features, "statuses": rule.statuses}


def encoded(record: Shown | Billed) -> bytes:
    """*record* as its producer writes it: native ones, but for deletes, which OpenMeter alone has."""
    if isinstance(record, Billed):
        return _invoice(record)
    if record.kind == "delete":
        return _deleted(record)
    entitlement: dict[str, object] = {"id": record.about[1], "period": _period(record)}
    entitlement |= {"type": "static"} if record.kind == "unmetered" else {}
    entitlement |= {"activeTo": moment(record.active_to)} if not isinf(record.active_to) else {}
    value = {"usage": record.usage, "allowance": record.allowance}
    data: dict[str, object] = {
        "namespace": record.about[0],
        "calculatedAt": moment(record.at),
        "feature": {"id": record.feature[0], "key": record.feature[1]},
        "entitlement": entitlement,
        "value": {name: amount for name, amount in value.items() if amount is not None},
    }
    if record.kind == "reset":
        return _event("tollbell.entitlement.reset", data | {"resetAt": moment(record.period)})
    return _event("tollbell.usage.snapshot", data)


def _event(kind: str, data: dict[str, object], **more: object) -> bytes:
    envelope = {"specversion": "1.0", "id": "e", "source": "tests", "type": kind, "data": data}
    return json.dumps(envelope | more).encode()


def _invoice(record: Billed) -> bytes:
    data: dict[str, object] = {
        "namespace": record.about[0],
        "invoice": {"id": record.about[1], "status": record.state},
    }
    data |= {"previousStatus": record.previous} if record.previous else {}
    by, event_id = record.by
    return _event(f"tollbell.invoice.{record.kind}", data, source=by, id=event_id, time=moment(record.at))


def _deleted(record: Shown) -> bytes:
    feature_id, feature_key = record.feature
    about = {"id": record.about[1], "featureId": feature_id, "featureKey": feature_key}
    about |= {"activeTo": moment(record.active_to)} if not isinf(record.active_to) else {}
    return openmeter_record(
        entitlement=OPENMETER_ENTITLEMENT | about | {"currentUsagePeriod": _period(record)},
        namespace={"id": record.about[0]},
        operation="delete",
        calculatedAt=moment(record.at),
    )


def _period(record: Shown) -> dict[str, str]:
    return {"from": moment(record.period), "to": moment(record.end)}


def moment(minutes: float) -> str:
    return (START + dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes(text: str) -> float:
    return minutes_of(dt.datetime.fromisoformat(text))


def minutes_of(time: dt.datetime) -> float:
    return (time - START) / dt.timedelta(minutes=1)


def event_of(namespace: str, rule: str, payload: bytes) -> Event:
    """What an event's payload says, in the oracle's words; of an updated invoice not by which CloudEvent."""
    event: dict[str, Any] = json.loads(payload, parse_float=Decimal)
    data = event["data"]
    if event["type"] == TYPES["created"]:
        return Event(rule, (namespace, data["id"]), ("created",), data["previousStatus"])
    if event["type"] == TYPES["updated"]:
        state = data["statusDetails"]["extendedStatus"]
        return Event(rule, (namespace, data["id"]), (state,), data["previousStatus"])
    about, start = (namespace, data["entitlement"]["id"]), minutes(data["entitlement"]["currentUsagePeriod"]["from"])
    if event["type"] == TYPES["reset"]:
        assert minutes(data["reset"]["at"]) == minutes(event["timestamp"])
        return Event(rule, about, (minutes(event["timestamp"]),), data["reset"]["kind"])
    also: tuple[object, ...] = tuple(_line(other) for other in data["crossing"]["alsoCrossed"])
    if data["crossing"].get("cause") == "period_end":
        also = ("period_end", minutes(event["timestamp"]))
    identity = (start, _line(data["threshold"]), data["action"], data["crossing"]["episode"])
    return Event(rule, about, identity, also)


def _line(threshold: dict[str, Any]) -> Line:
    kind = threshold["type"]
    return Line(CANONICAL.get(kind, kind), Fraction(str(threshold["value"])))


def seen(events: Iterable[Event]) -> list[Event]:
    """*events* of the oracle as `event_of` would have them."""
    return [
        one._replace(identity=one.identity[:1]) if one.identity and isinstance(one.identity[0], str) else one
        for one in events
    ]
