"""Which period a record is of, what it says of that period's end, and what the end of a period closes."""

import datetime as dt
import json
from typing import Any

import pytest
from msgspec.structs import replace

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Judgement, Reason
from consumer.decide.payloads import identity, payload
from consumer.decide.rules.crossing import Crossing
from consumer.decide.rules.entitlement_reset import Reset
from schemas.sources import About, Snapshot
from tests.support.factories import NOW, PERIOD, make_rule, make_snapshot
from tests.support.records import make_period_end
from tests.support.rules import reset_rule

MINUTE = dt.timedelta(minutes=1)
INSTANT = dt.timedelta(microseconds=1)
DAY = dt.timedelta(days=1)
MONTH = 30 * DAY
START, END = PERIOD
RECOVERED = {"notify_on": ["triggered", "recovered"]}
ALARM = make_rule(percents=[80, 100], rule_id="alarm", **RECOVERED)  # type: ignore[arg-type]
PLAIN = make_rule(percents=[80], rule_id="plain")
RESETS = reset_rule("resets")
RULES = [PLAIN, ALARM, RESETS]


class Origin:
    """What a payload repeats: a period as it was shown."""

    def about(self) -> About:
        period = {"from": "shown", "to": "shown"}
        return About(
            feature={"key": "llm_tokens"},
            entitlement={"id": "ent-1", "type": "metered", "currentUsagePeriod": period},
            value={"usage": 1, "hasAccess": False},
        )


def shown(
    usage: int, at: dt.datetime, start: dt.datetime = START, end: dt.datetime | None = END, **more: Any
) -> Snapshot:
    return make_snapshot(usage, calculated_at=at, period_from=start, period_to=end, origin=Origin(), **more)


def of(judgement: Judgement) -> Document:
    assert isinstance(judgement.document, Document)
    return judgement.document


def after(*records: Snapshot) -> Document:
    document = UNSEEN
    for record in records:
        document = of(judge(RULES, record, document))
    return document


def ended(document: Document) -> Document:
    return of(judge(RULES, make_period_end(), document))


def made(judgement: Judgement) -> list[tuple[str, str, str]]:
    """Rule, what happened, and the start of the period of which it did."""
    return [
        (
            one.rule.id,
            f"{one.threshold.value:f} {one.action}" if isinstance(one, Crossing) else str(one.reason),
            f"{one.period_from:%m-%d %H:%M}",
        )
        for one in judgement.occurrences
        if not hasattr(one, "invoice")
    ]


KNOWN = after(shown(10, NOW))
OVER = ended(KNOWN)
LATER = END + MINUTE


@pytest.mark.parametrize(
    ("document", "record", "start"),
    [
        # the period that is known, and a later one
        (KNOWN, shown(10, NOW + MINUTE), START),
        (KNOWN, shown(10, NOW + MINUTE, START + INSTANT), START + INSTANT),
        # an earlier one: late, or its anchor was moved back, which a record says that is more than five minutes newer
        (KNOWN, shown(10, NOW + 5 * MINUTE, START - DAY), None),
        (KNOWN, shown(10, NOW + 5 * MINUTE + INSTANT, START - DAY), NOW + 5 * MINUTE + INSTANT),
        # … and that lies in its period, which may be one without end
        (KNOWN, shown(10, NOW + DAY, START - DAY, NOW + DAY), None),
        (KNOWN, shown(10, NOW + DAY, START - DAY, NOW + DAY + INSTANT), NOW + DAY),
        (KNOWN, shown(10, NOW + DAY, START - DAY, None), NOW + DAY),
        (after(shown(10, NOW - DAY, NOW + MONTH, NOW + 2 * MONTH)), shown(10, NOW, NOW + INSTANT), None),
        # of a row that an older release wrote it is not known what was newest
        (replace(KNOWN, newest_at=None), shown(10, NOW + DAY, START - DAY), None),
        # the clock has ended it: it goes on where a newer record, calculated since, shows an end after that, or none
        (OVER, shown(10, LATER, START, LATER + INSTANT), END),
        (OVER, shown(10, END, START, None), END),
        (OVER, shown(10, END - INSTANT, START, None), None),
        (OVER, shown(10, LATER, START, LATER), None),
        (replace(OVER, known_at=LATER), shown(10, LATER, START, None), None),
        (replace(OVER, known_at=None), shown(10, LATER, START, None), END),
        # by its start it would be the very period that has ended: an alarm of it would stay open
        (replace(OVER, newest_at=START - DAY), shown(90, START, START - DAY, END), None),
    ],
)
def test_which_period_a_record_is_of(document: Document, record: Snapshot, start: dt.datetime | None) -> None:
    judgement = judge(RULES, record, document)

    after = of(judgement)
    assert ({reason for _, reason in judgement.reasons} == {Reason.STALE_PERIOD}) is (start is None)
    assert (after.begins_at or after.period_from) == start or start is None
    assert start is not None or after is document


MOVED_AT = NOW + DAY
MOVED = after(shown(10, NOW), shown(90, MOVED_AT, START - DAY, START + 20 * DAY + MONTH))


@pytest.mark.parametrize(
    ("record", "is_of_it"),
    [
        (shown(95, MOVED_AT, START - DAY), True),
        (shown(95, MOVED_AT - INSTANT, START - DAY), False),
        # a record that shows the start that counts is of it, whenever calculated
        (shown(95, MOVED_AT - INSTANT, MOVED_AT), True),
        (shown(95, MOVED_AT + MINUTE, START), False),
    ],
)
def test_a_period_that_moved_back_begins_when_that_was_known(record: Snapshot, is_of_it: bool) -> None:
    reasons = {reason for _, reason in judge([PLAIN], record, MOVED).reasons}

    assert reasons == ({Reason.ALREADY_FIRED} if is_of_it else {Reason.STALE_PERIOD})


def test_an_anchor_moved_back_is_a_manual_reset_of_the_moment() -> None:
    judgement = judge(RULES, shown(90, MOVED_AT, START - DAY, reset_at=START - DAY), KNOWN)

    at = f"{MOVED_AT:%m-%d %H:%M}"
    assert made(judgement) == [
        *[("plain", "80 triggered", at), ("alarm", "80 triggered", at), ("resets", "reset_manual", at)]
    ]
    bodies = [json.loads(payload(one, "event-1")) for one in judgement.occurrences]
    assert {body["data"]["entitlement"]["currentUsagePeriod"]["from"] for body in bodies} == {"2026-11-23T10:15:30Z"}
    assert bodies[2]["data"]["reset"] == {"kind": "manual", "at": "2026-11-23T10:15:30Z"}
    assert bodies[0]["data"]["value"] == {"usage": 1, "hasAccess": False}


@pytest.mark.parametrize(
    ("document", "record", "end"),
    [
        # the newest record speaks of the end: later, earlier, none; an equal one and a late one do not
        (KNOWN, shown(10, NOW + INSTANT, START, END + DAY), END + DAY),
        (KNOWN, shown(10, NOW + INSTANT, START, NOW), NOW),
        (KNOWN, shown(10, NOW + INSTANT, START, None), None),
        (KNOWN, shown(10, NOW, START, END + DAY), END),
        (KNOWN, shown(10, NOW - INSTANT, START, END + DAY), END),
        # one that fires is no other
        (KNOWN, shown(90, NOW - INSTANT, START, END + DAY), END),
        # where the start that counts is another one, an end before that is none
        (MOVED, shown(10, MOVED_AT + MINUTE, START - DAY, MOVED_AT), MOVED.period_to),
        (MOVED, shown(10, MOVED_AT + MINUTE, START - DAY, MOVED_AT + INSTANT), MOVED_AT + INSTANT),
    ],
)
def test_the_newest_record_speaks_of_the_end(document: Document, record: Snapshot, end: dt.datetime | None) -> None:
    assert of(judge(RULES, record, document)).period_to == end


def test_a_late_record_that_fires_leaves_no_newer_trace() -> None:
    after = of(judge(RULES, shown(90, NOW - MINUTE), KNOWN))

    assert (after.known_at, after.newest_at) == (NOW, NOW)


def test_an_older_record_can_begin_a_period_but_is_not_newest() -> None:
    after = of(judge(RULES, shown(10, NOW - MINUTE, START + DAY), KNOWN))

    assert (after.known_at, after.newest_at) == (NOW - MINUTE, NOW)


@pytest.mark.parametrize(("minute", "is_deleted"), [(1, True), (0, True), (-1, False)])
def test_a_delete_counts_where_nothing_newer_does(minute: int, is_deleted: bool) -> None:
    """Of equal ones the delete; but it alone, not what it says beside."""
    record = shown(0, NOW + minute * MINUTE, START, END + DAY, is_deleted=True, active_to=END)

    after = of(judge(RULES, record, KNOWN))

    assert (after.deleted_at is not None) is is_deleted
    assert (after.period_to, after.active_to) == ((END + DAY, END) if minute > 0 else (END, None))


FIRED = after(shown(100, NOW))


@pytest.mark.parametrize(
    "judgement",
    [
        judge(RULES, make_period_end(origin=Origin()), FIRED),
        judge(RULES, shown(10, LATER, END, END + MONTH), FIRED),
    ],
)
def test_the_end_of_a_period_closes_its_alarms_before_its_reset(judgement: Judgement) -> None:
    assert made(judgement) == [
        ("alarm", "100 recovered", "11-01 00:00"),
        ("alarm", "80 recovered", "11-01 00:00"),
        ("resets", "reset_automatic", "12-01 00:00"),
    ]
    assert [reason for _, reason in judgement.reasons][:2] == [Reason.RECOVERED, Reason.RECOVERED]
    body = json.loads(payload(judgement.occurrences[0], "event-1"))
    assert body["timestamp"] == "2026-12-01T00:00:00Z"
    assert body["data"]["crossing"] == {"episode": 1, "alsoCrossed": [], "cause": "period_end"}
    assert body["data"]["value"] == {"hasAccess": True}
    assert body["data"]["entitlement"]["currentUsagePeriod"] == {
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
    }


def test_an_endless_period_that_ended_has_no_end_in_recoveries() -> None:
    endless = after(shown(100, NOW, START, None))

    judgement = judge([ALARM, RESETS], shown(10, LATER, END, None), endless)

    body = json.loads(payload(judgement.occurrences[0], "event-1"))
    assert body["data"]["entitlement"]["currentUsagePeriod"] == {"from": "2026-11-01T00:00:00Z"}
    assert judgement.reasons[-1][1] is Reason.RESET_MANUAL


def test_a_recovery_has_its_cause_and_a_crossing_has_none() -> None:
    up, down = (judge([ALARM], shown(usage, NOW + MINUTE), FIRED if usage < 80 else UNSEEN) for usage in (90, 10))

    causes = [
        json.loads(payload(one, "e"))["data"]["crossing"].get("cause") for one in (*up.occurrences, *down.occurrences)
    ]
    assert causes == [None, "level", "level"]


SILENT = {
    "it has recovered": (ALARM, after(shown(100, NOW), shown(10, NOW + MINUTE))),
    "nothing fired": (ALARM, KNOWN),
    "the rule notifies of no recovery": (make_rule(percents=[80, 100], rule_id="alarm"), FIRED),
    "the threshold was taken away": (make_rule(percents=[90], rule_id="alarm", **RECOVERED), FIRED),  # type: ignore[arg-type]
    "another rule": (make_rule(percents=[80], rule_id="other", **RECOVERED), FIRED),  # type: ignore[arg-type]
    "another event named it": (
        ALARM,
        replace(
            FIRED,
            marks={ALARM.id: {name: replace(mark, is_notified=False) for name, mark in FIRED.marks[ALARM.id].items()}},
        ),
    ),
    "the entitlement is deleted": (ALARM, replace(FIRED, deleted_at=LATER, newest_at=LATER)),
    "it has ended, says a newer record": (ALARM, replace(FIRED, active_to=END - DAY, newest_at=LATER + DAY)),
}


@pytest.mark.parametrize("why", SILENT)
def test_what_is_not_open_is_not_closed(why: str) -> None:
    rule, document = SILENT[why]

    assert judge([rule], shown(10, LATER, END, END + MONTH), document).occurrences == ()


def test_a_late_record_does_not_bring_back_who_has_cancelled() -> None:
    cancelled = of(judge(RULES, shown(10, END + DAY, END, END + MONTH, active_to=END + 2 * MINUTE), KNOWN))

    late = of(judge(RULES, shown(10, LATER, END, END + MONTH), cancelled))
    newer = of(judge(RULES, shown(10, END + 2 * DAY, END, END + MONTH), late))

    assert [document.active_to for document in (cancelled, late, newer)] == [END + 2 * MINUTE, END + 2 * MINUTE, None]
    assert late.period_from == END


def test_a_redelivered_delete_does_not_undo_a_newer_record() -> None:
    delete = shown(10, NOW, is_deleted=True)
    revived = of(judge(RULES, shown(10, LATER, START - DAY, END + DAY, active_to=NOW), after(delete)))

    again = judge(RULES, delete, revived)

    assert (revived.deleted_at, again.document) == (None, revived)


def test_a_redelivered_record_of_an_ended_part_is_stale() -> None:
    """The period was ended by the clock, and its rest goes on."""
    first = shown(100, LATER)
    going_on = of(judge(RULES, shown(10, LATER + MINUTE, START, END + DAY), ended(after(first))))

    again = judge(RULES, first, going_on)

    assert again.document is going_on
    assert {reason for _, reason in again.reasons} == {Reason.STALE_PERIOD}


def test_a_resumed_period_fires_again_as_its_first_episode() -> None:
    over = ended(FIRED)

    judgement = judge(RULES, shown(100, LATER, START, END + DAY), over)

    assert made(judgement) == [
        ("plain", "80 triggered", "12-01 00:00"),
        ("alarm", "80 triggered", "12-01 00:00"),
        ("alarm", "100 triggered", "12-01 00:00"),
    ]
    assert judgement.reasons[-1][1] is Reason.ALREADY_RESET
    assert of(judgement).period_to == END + DAY
    assert not of(judgement).ended
    again = judge(RULES, shown(100, NOW), of(judgement))
    assert {reason for _, reason in again.reasons} == {Reason.STALE_PERIOD}


LATE = shown(0, NOW + MINUTE, NOW, END, reset_at=NOW)


def test_what_fires_after_a_reset_of_its_end_is_reset_once_more() -> None:
    """A manual reset come late, whose period ends where the clock has reset already: known by both starts."""
    began = of(judge(RULES, LATE, OVER))
    fired = of(judge(RULES, shown(100, NOW + 2 * MINUTE, NOW, END), began))

    first, again, quiet = (
        [one for one in judge([RESETS], source, document).occurrences if isinstance(one, Reset)]
        for document, source in [
            (KNOWN, make_period_end()),
            (fired, make_period_end(origin=Origin())),
            (began, shown(10, LATER, END, END + MONTH)),
        ]
    )
    (by_record,) = judge([RESETS], shown(10, LATER, END, END + MONTH), fired).occurrences
    (later,) = judge([RESETS], shown(10, LATER, END + MINUTE, END + MONTH), fired).occurrences

    assert began.reset_until == END
    assert len({identity(one) for one in (*first, *again)}) == 2
    assert identity(by_record) == identity(again[0])
    # Nothing has fired since, or it is another start: one reset of each.
    assert identity(quiet[0]) == identity(first[0])
    assert isinstance(later, Reset)
    assert later.after is None
    assert of(judge(RULES, shown(10, LATER, END, END + MONTH), fired)).reset_until is None


def test_a_period_that_goes_on_after_its_end_has_no_reset_ahead() -> None:
    assert of(judge(RULES, shown(10, LATER, START, None), OVER)).reset_until is None


def test_a_delete_of_a_later_period_does_not_bar_an_extension() -> None:
    gone = of(judge(RULES, shown(0, LATER + 2 * MINUTE, END, END + MONTH, is_deleted=True), OVER))

    going_on = of(judge(RULES, shown(10, LATER + MINUTE, START, END + MONTH), gone))

    assert (gone.known_at, gone.newest_at) == (NOW, LATER + 2 * MINUTE)
    assert (going_on.begins_at, going_on.deleted_at) == (END, LATER + 2 * MINUTE)


@pytest.mark.parametrize(
    ("minute", "feature_id", "key", "name"),
    [
        (1, "f-2", "renamed", ("f-2", "renamed")),
        (1, "f-2", "llm_tokens", ("f-2", "llm_tokens")),
        # a record without an id says nothing of it, where the key is the same
        (1, "", "llm_tokens", ("f-1", "llm_tokens")),
        (1, "", "renamed", ("", "renamed")),
        # not newer
        (0, "f-2", "renamed", ("f-1", "llm_tokens")),
        (-1, "f-2", "renamed", ("f-1", "llm_tokens")),
    ],
)
def test_the_newest_record_names_the_feature(minute: int, feature_id: str, key: str, name: tuple[str, str]) -> None:
    record = shown(10, NOW + minute * MINUTE, feature_id=feature_id, feature_key=key)

    after = of(judge(RULES, record, KNOWN))

    assert after.feature is not None
    assert (after.feature.id, after.feature.key) == name
    assert (after is KNOWN) is (name == ("f-1", "llm_tokens"))


def test_a_rename_of_the_feature_outranks_late_old_names() -> None:
    renamed = of(judge([PLAIN], shown(90, NOW + 2 * MINUTE, feature_key="renamed"), FIRED))

    late = judge([ALARM], shown(10, NOW + MINUTE), renamed)

    assert {reason for _, reason in late.reasons} == {Reason.LATE}
