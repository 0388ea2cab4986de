"""Periods as records and the clock have them, through the topic: sequences, and the events that come of each.

One replica and one moment for all of them: each sequence is an entitlement of its own. Hours count from now; the clock
comes to END a few seconds later, and what is sent after that is in the second list.
"""

import asyncio
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
import pytest

from consumer import clock
from schemas import times
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import OPENMETER_ENTITLEMENT, openmeter_record
from tests.support.fakes import Receiver
from tests.support.verification import SECRET

pytestmark = [pytest.mark.real_kafka, pytest.mark.timeout(120)]
RULES = """\
channels:
  - {{key: hook, type: WEBHOOK, name: Hook, url: "{url}", signingSecret: "{secret}"}}
rules:
  - {{key: reset, type: entitlements.reset, name: Reset, channels: [hook]}}
  - {{key: alarm, type: entitlements.balance.threshold, name: Alarm, channels: [hook], notifyOn: [triggered, recovered],
     thresholds: [{{type: usage_percentage, value: 80}}, {{type: usage_percentage, value: 100}}]}}
"""
SECONDS = 10  # until END: time enough for the first records
END = SECONDS / 3600
LATER = END + 0.001
DAY_AGO, AHEAD = -24, 48


class Sent(NamedTuple):
    """A record: usage of an allowance of 100, when calculated, its period; hours from now."""

    usage: float
    at: float
    start: float = DAY_AGO
    end: float | None = AHEAD
    active_to: float | None = None
    kind: str = "usage"  # or reset, delete
    value: dict[str, object] | None = None


class Event(NamedTuple):
    """An event: what happened, and the start of the period of which it did."""

    what: str
    start: float = DAY_AGO


def fired(start: float = DAY_AGO) -> list[Event]:
    return [Event("80 triggered", start), Event("100 triggered", start)]


def closed(start: float = DAY_AGO) -> list[Event]:
    return [Event("100 recovered period_end", start), Event("80 recovered period_end", start)]


EIGHTY, EIGHTY_CLOSED = Event("80 triggered"), Event("80 recovered period_end")
BY_CLOCK = Event("reset automatic", END)
# What it is, what is sent, what is sent after the end, and the events.
TABLE: dict[str, tuple[Sequence[Sent], Sequence[Sent], Sequence[Event]]] = {
    "a late record with the old end makes no reset at it": (
        [Sent(10, -10, end=END), Sent(10, -5), Sent(10, -8, end=END)],
        [Sent(100, LATER)],
        fired(),
    ),
    "a late record gives no access back to who was cancelled": (
        [Sent(10, -10, end=END), Sent(10, -5, end=END, active_to=-1), Sent(10, -8, end=END)],
        [],
        [],
    ),
    "who was reactivated gets a reset": (
        [Sent(10, -10, end=END, active_to=-1), Sent(10, -0.5, end=END)],
        [],
        [BY_CLOCK],
    ),
    "a delete older than an update does not silence the clock": (
        [Sent(10, -10, end=END), Sent(85, -5, end=END), Sent(0, -8, end=END, kind="delete")],
        [],
        [EIGHTY, EIGHTY_CLOSED, BY_CLOCK],
    ),
    "of a deleted entitlement the alarm stays open": (
        [Sent(85, -10, end=END), Sent(0, -5, end=END, kind="delete")],
        [],
        [EIGHTY],
    ),
    "an update newer than the delete revives it": (
        [Sent(85, -10, end=END), Sent(0, -5, end=END, kind="delete"), Sent(85, -4, end=END)],
        [],
        [EIGHTY, EIGHTY_CLOSED, BY_CLOCK],
    ),
    "first seen after its end, what has fired is reset": (
        [Sent(85, -3, end=-1), Sent(100, -2, end=-1)],
        [],
        [*fired(), *closed(), Event("reset automatic", -1)],
    ),
    "first seen after its end, what has not fired is not": ([Sent(10, -2, end=-1)], [], []),
    "shortened after 100 % it is reset": (
        [Sent(100, -10), Sent(100, -5, end=-1)],
        [],
        [*fired(), *closed(), Event("reset automatic", -1)],
    ),
    "a period that goes on after its end fires again": (
        [Sent(100, -10, end=END)],
        [Sent(101, LATER)],
        [*fired(), *closed(), BY_CLOCK, *fired(END)],
    ),
    "a period that goes on without end does so too": (
        [Sent(85, -10, end=END)],
        [Sent(85, LATER, end=None)],
        [EIGHTY, EIGHTY_CLOSED, BY_CLOCK, Event("80 triggered", END)],
    ),
    "the period that begins at that end has fired": (
        [Sent(10, -10, end=END)],
        [Sent(85, LATER, start=END)],
        [BY_CLOCK, Event("80 triggered", END)],
    ),
    "a record of the ended period makes nothing": (
        [Sent(10, -10, end=END)],
        [Sent(100, -1, end=END), Sent(100, -1)],
        [BY_CLOCK],
    ),
    "a manual reset come late is a period of its own": (
        [Sent(10, -10, end=END)],
        [Sent(0, -5, start=-5, kind="reset")],
        [BY_CLOCK, Event("reset manual", -5)],
    ),
    "what fires in one whose end was reset at is reset once more": (
        [Sent(10, -10, end=END)],
        [Sent(0, -5, start=-5, end=END, kind="reset"), Sent(100, -4, start=-5, end=END)],
        [BY_CLOCK, Event("reset manual", -5), *fired(-5), *closed(-5), BY_CLOCK],
    ),
    "an anchor that moves back begins a period when that is known": (
        [Sent(85, -10, start=-20), Sent(85, -5)],
        [],
        [
            *[Event("80 triggered", -20), Event("80 recovered period_end", -20)],
            *[Event("reset manual", -5), Event("80 triggered", -5)],
        ],
    ),
    "a late record of an earlier period is no such anchor": ([Sent(10, -10, start=-20), Sent(100, -9.95)], [], []),
    "a later period closes the alarms of the one before": (
        [Sent(85, -10, end=-6), Sent(10, -5, start=-6)],
        [],
        [EIGHTY, EIGHTY_CLOSED, Event("reset automatic", -6)],
    ),
    "so does a manual reset": (
        [Sent(85, -10), Sent(0, -5, start=-5, kind="reset")],
        [],
        [EIGHTY, EIGHTY_CLOSED, Event("reset manual", -5)],
    ),
    "what has recovered is closed once": (
        [Sent(85, -10, end=-6), Sent(10, -8, end=-6), Sent(10, -5, start=-6)],
        [],
        [EIGHTY, Event("80 recovered level"), Event("reset automatic", -6)],
    ),
    "several missed periods are one reset": (
        [Sent(10, -100, start=-120, end=-96), Sent(10, -5)],
        [],
        [Event("reset automatic", DAY_AGO)],
    ),
    "a period without end ends by the next one": (
        [Sent(100, -10, end=None), Sent(10, -5, start=-6, end=None)],
        [],
        [*fired(), *closed(), Event("reset manual", -6)],
    ),
    "a top-up is judged": (
        [Sent(90, -10, value={"usage": 90, "allowance": 100, "balance": 50})],
        [],
        [EIGHTY],
    ),
}
KEYS = {name: f"ent-{n}" for n, name in enumerate(TABLE)}


def record(name: str, sent: Sent, now: dt.datetime) -> bytes:
    def time(hours: float | None) -> str | None:
        return None if hours is None else times.text(now + dt.timedelta(hours=hours))

    period = {"from": time(sent.start), "to": time(sent.end)}
    if sent.kind == "delete":
        entitlement = OPENMETER_ENTITLEMENT | {"id": KEYS[name], "currentUsagePeriod": period}
        return openmeter_record(operation="delete", calculatedAt=time(sent.at), entitlement=entitlement)
    kind = "entitlement.reset" if sent.kind == "reset" else "usage.snapshot"
    data = {
        "calculatedAt": time(sent.at),
        "feature": {"key": "llm_tokens"},
        "entitlement": {"id": KEYS[name], "period": period, "activeTo": time(sent.active_to)},
        "value": sent.value or {"usage": sent.usage, "allowance": 100},
    } | ({"resetAt": time(sent.start)} if sent.kind == "reset" else {})
    return json.dumps(
        {"specversion": "1.0", "id": "1", "source": "tests", "type": f"tollbell.{kind}", "data": data}
    ).encode()


def event_of(payload: bytes, now: dt.datetime) -> Event:
    data: dict[str, Any] = json.loads(payload)["data"]
    if "reset" in data:
        what, start = f"reset {data['reset']['kind']}", json.loads(payload)["timestamp"]
    else:
        words = (f"{data['threshold']['value']}", data["action"], data["crossing"].get("cause", ""))
        what, start = " ".join(words).strip(), data["entitlement"]["currentUsagePeriod"]["from"]
    hours = (times.parse(start) - now) / dt.timedelta(hours=1)
    return Event(what, next(one for one in (END, *range(DAY_AGO, 0)) if abs(one - hours) < 1 / 3600))


async def test_sequences_of_records_and_the_clock_make_these_events(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_CONSUME_PERIOD_END_DELAY="1s")
    applied = await deployment.apply(RULES.format(url=receiver.url(), secret=SECRET))
    assert applied.status == 0, applied.err
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], deployment.environment["TOLLBELL_DATABASE_URL"]
    expected = {name: list(events) for name, (_, _, events) in TABLE.items()}
    clocks = sum(
        any(one.what == "reset automatic" and one.start in {END, -1} for one in row) for row in expected.values()
    )
    total = sum(map(len, expected.values()))
    async with await deployment.replica() as replica:
        await replica.ready()
        connection = await asyncpg.connect(url)

        async def until(question: str, number: int) -> None:
            async with asyncio.timeout(40):
                while await connection.fetchval(question) < number:
                    await clock.wait(asyncio.Event(), 0.1)

        now = clock.now().replace(microsecond=0)
        before, after = (
            [record(name, sent, now) for name, row in TABLE.items() for sent in row[part]] for part in (0, 1)
        )
        await produce(topic, *before)
        await until("SELECT count(*) FROM entitlement WHERE ended", clocks)
        await produce(topic, *after)
        await until("SELECT count(*) FROM event", total)

        for _ in range(2):  # a replay of all of it changes nothing
            await produce(topic, *before, *after)
        await replica.reaches("tollbell_records_total", 3 * len([*before, *after]))

        found = defaultdict[str, list[Event]](list)
        for row in await connection.fetch("SELECT entitlement_id, payload FROM event ORDER BY id"):
            found[row["entitlement_id"]].append(event_of(row["payload"], now))
        await connection.close()
    assert {name: found[key] for name, key in KEYS.items()} == expected
