"""Where an entitlement stands: between which lines its next record changes nothing."""

import datetime as dt
import json

import pytest
from msgspec.structs import replace

from consumer.consume.fast_path.glance import look
from consumer.consume.fast_path.standing import Standing, Under, Why, looks_back, standing, stands
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document
from schemas.rules import Rule, RuleId, read_spec
from schemas.sources import Snapshot
from tests.support import parsing
from tests.support.factories import OPENMETER_ENTITLEMENT, make_rule, native_record, openmeter_record
from tests.support.rules import rule_of

FAR = 10**39
ACTIVE_TO = "2026-11-25T00:00:00Z"
RESETS = Rule(
    id=RuleId("r"), namespace="default", name="Reset", spec=read_spec({"type": "entitlements.reset"}), channels=()
)
LINES = make_rule(("usage_value", 80), ("balance_value", 30), ("balance_value", "7.5"), percents=[50, "99.5"])


def under(*rules: Rule) -> Under:
    return Under("default", "f-1", "llm_tokens", rules)


def judged(*records: bytes, rules: tuple[Rule, ...] = (LINES,)) -> tuple[Snapshot, Document, Why]:
    """The last of *records*, the memory that all left, and what the last one would be judged like again."""
    document = UNSEEN
    for record in records:
        shown = parsing.snapshot(record)
        document = judge(rules, shown, document).document  # type: ignore[assignment]
    return shown, document, Why(judge(rules, shown, document).reasons)


def stood(*records: bytes, rules: tuple[Rule, ...] = (LINES,)) -> Standing | None:
    seen = look(records[-1], ())
    assert seen is not None
    shown, document, why = judged(*records, rules=rules)
    return standing(seen, shown, under(*rules), document, why)


def after(found: Standing | None, record: bytes) -> bool:
    seen = look(record, ())
    assert found is not None
    assert seen is not None
    return stands(found, seen)


def at(time: str, usage: object = 40, **data: object) -> bytes:
    return native_record(usage, calculated_at=f"2026-11-22T{time}Z", **data)


def ending(calculated_at: str, usage: int = 80) -> bytes:
    record = json.loads(parsing.entitlement(activeTo=ACTIVE_TO))
    record["data"]["value"]["usage"] = usage
    record["data"]["calculatedAt"] = calculated_at
    return json.dumps(record).encode()


def twice(usage: object, allowance: object = 100) -> tuple[bytes, bytes]:
    """What is reached fires at the first, so that the second changes nothing."""
    first = native_record(usage, allowance, calculated_at="2026-11-22T10:00:00Z")
    return first, first.replace(b"10:00:00", b"10:00:01")


@pytest.mark.parametrize(
    ("usage", "lines"),
    [
        (40, (40, 50, 30, FAR)),  # the multiples of ten per cent are lines too
        (51, (50, 53, 30, FAR)),
        (54, (53, 55, 30, FAR)),
        (56, (55, 60, 30, FAR)),
        (75, (70, 80, 7.5, 30)),
        ("99.75", (99.5, 100, -FAR, 7.5)),
        (-3, (-FAR, 10, 30, FAR)),
        (1000, (1000, FAR, -FAR, 7.5)),
    ],
)
def test_it_stands_between_the_nearest_lines_of_all_rules(usage: object, lines: tuple[float, ...]) -> None:
    rule = make_rule(("usage_value", 53), ("balance_value", 30), ("balance_value", "7.5"), percents=[55, "99.5"])

    assert stood(*twice(usage), rules=(rule,))[5:9] == lines


def test_the_nearest_line_may_be_of_the_first_rule() -> None:
    rules = (
        make_rule(("balance_value", 30), percents=[45]),
        make_rule(("balance_value", 20), percents=[48], rule_id="another"),
    )

    assert stood(*twice(42), rules=rules)[5:9] == (40, 45, 30, FAR)
    assert stood(*twice(85), rules=rules[::-1])[5:9] == (80, 90, -FAR, 20)


def test_a_balance_at_its_line_is_judged() -> None:
    found = stood(*twice(72), rules=(make_rule(("balance_value", 27), percents=[90]),))

    assert after(found, at("10:01:00", "72.5"))
    assert not after(found, at("10:01:00", 73))  # 70 or 80 would be lines of its usage too


def test_what_cannot_be_judged_has_no_line() -> None:
    assert stood(*twice(40, 0))[5:9] == (-FAR, 80, -FAR, 7.5)


@pytest.mark.parametrize(("usage", "stays"), [("60", True), ("69.99999999", True), ("59.99999999", False), (70, False)])
def test_records_below_the_next_threshold_are_skipped(usage: object, stays: bool) -> None:
    assert after(stood(*twice(60)), at("10:01:00", usage)) is stays


@pytest.mark.parametrize(
    "record",
    [
        at("10:01:00", allowance=101),
        at("10:01:00", feature={"key": "llm_tokens"}),
        at("10:01:00", period=("2026-11-01T00:00:00Z", "2026-12-02T00:00:00Z")),
        parsing.entitlement(activeTo=ACTIVE_TO),
        parsing.entitlement(activeFrom="2026-11-02T00:00:00Z"),
        native_record(40, calculated_at="2026-10-31T23:59:59Z"),
    ],
)
def test_a_record_that_says_anything_else_is_judged(record: bytes) -> None:
    found = stood(at("10:00:00"))

    assert after(found, at("10:01:00"))
    assert after(found, at("09:59:00"))
    assert not after(found, record)


def test_a_late_or_equally_old_record_is_judged() -> None:
    found = stood(at("10:00:00", 60), at("10:01:00", 60))

    assert after(found, at("10:00:01", 60))
    assert after(found, at("10:00:00.000001", 60))
    assert not after(found, at("10:00:00", 60))
    assert not after(found, at("09:59:00", 60))


def test_up_to_its_end_an_entitlement_stands_and_no_further() -> None:
    found = stood(ending("2026-11-22T10:15:30Z"), ending("2026-11-22T10:15:31Z"))

    assert after(found, ending("2026-11-24T23:59:59.99Z"))
    assert after(found, ending("2026-11-24T23:59:59.999999Z"))
    assert not after(found, ending(ACTIVE_TO))


@pytest.mark.parametrize(
    "records",
    [
        [parsing.entitlement(activeTo="2026-11-02T00:00:00Z")],
        [parsing.entitlement(activeFrom="9999-12-31T23:59:59.999999Z")],
        [at("10:00:00", 60), at("09:59:00", 60)],
        # what a late record says of the end is not believed; a newer one that says it is
        [at("10:00:00"), at("09:59:00", period=("2026-11-01T00:00:00Z", "2026-12-02T00:00:00Z"))],
        [at("10:20:00"), ending("2026-11-22T10:15:30Z", usage=40)],
        [at("10:00:00"), at("09:59:00", feature={"id": "f-1", "key": "renamed"})],
        [at("10:00:00"), at("10:01:00", period=("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"))],
        [openmeter_record(operation="reset")],
        [openmeter_record(operation="delete"), openmeter_record(calculatedAt="2026-08-18T16:01:50.3Z")],
    ],
)
def test_what_is_over_late_or_gone_does_not_stand(records: list[bytes]) -> None:
    assert stood(*records) is None


def test_nothing_is_skipped_after_a_delete() -> None:
    """Not even where no rule matches."""
    record = openmeter_record(operation="delete")
    seen = look(record, ())
    assert seen is not None

    assert standing(seen, parsing.snapshot(record), under(), None, Why(())) is None


def test_what_the_clock_has_ended_does_not_stand() -> None:
    record = at("10:00:00")
    shown, document, why = judged(record)
    seen = look(record, ())
    assert seen is not None
    ended = replace(document, ended=True)

    assert standing(seen, shown, under(LINES), ended, why) is None
    assert standing(seen, shown, under(), None, Why(())) is not None


def test_without_thresholds_the_coarse_level_bounds_the_skipping() -> None:
    found = stood(at("10:00:00", 60), rules=(RESETS,))

    assert found is not None
    assert [reason.value for _, reason in found.why.reasons] == ["same_period"]
    assert after(found, at("10:01:00", "69.9"))
    assert not after(found, at("10:01:00", 70))


def test_skipping_an_older_record_skips_no_newer_one() -> None:
    found = stood(at("10:05:00", 61), at("10:00:00", 40), rules=(RESETS,))

    assert after(found, at("10:05:00", 99999))
    assert not after(found, at("10:05:00.000001", 40))


def test_a_fall_of_the_coarse_level_is_judged_once_writable() -> None:
    found = stood(at("10:00:00", 61), at("10:01:00", 55), rules=(RESETS,))

    assert found is not None
    assert after(found, at("10:04:59", 69))
    assert not after(found, at("10:04:59", 70))
    assert not after(found, at("10:05:00", 55))


def test_a_vanished_allowance_is_judged_once_writable() -> None:
    found = stood(at("10:00:00", 61), at("10:01:00", 61, allowance=0), rules=(RESETS,))

    assert after(found, at("10:04:59", 5, allowance=0))
    assert not after(found, at("10:05:00", 5, allowance=0))


def test_without_any_allowance_every_usage_is_skipped() -> None:
    found = stood(at("10:00:00", 61, allowance=0), rules=(RESETS,))

    assert after(found, at("10:01:00", 99999, allowance=0))


def test_a_float_of_openmeter_that_rounds_to_a_line_is_judged() -> None:
    value = '{"usage": %s, "totalAvailableGrantAmount": 100, "balance": 90}'
    entitlement = {**OPENMETER_ENTITLEMENT, "featureKey": "llm_tokens"}
    found = stood(openmeter_record(value % 40, entitlement=entitlement))

    assert after(found, openmeter_record(value % "49.999999", entitlement=entitlement))
    assert not after(found, openmeter_record(value % "49.99999999999999", entitlement=entitlement))


def test_what_is_finer_than_a_microsecond_is_not_later() -> None:
    found = stood(at("10:00:00", 60), at("10:01:00", 60))

    assert found is not None
    assert found.after == dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert not after(found, at("10:00:00.0000009", 60))


def test_a_period_moved_back_skips_only_records_since() -> None:
    longer = ("2026-10-25T00:00:00Z", "2026-12-01T00:00:00Z")
    found = stood(at("09:00:00"), at("10:00:00", period=longer), at("10:01:00", period=longer))

    assert after(found, at("10:00:01", period=longer))
    assert not after(found, at("10:00:00", period=longer))
    assert not after(found, at("09:59:00", period=longer))


def test_a_rule_looks_back_where_it_rearms_or_recovers() -> None:
    assert not looks_back([LINES, RESETS])
    assert not looks_back([rule_of("invoice.created")])
    assert looks_back([RESETS, make_rule(percents=[80], rearm="recovery")])
    assert looks_back([make_rule(percents=[80], notify_on=["triggered", "recovered"])])
