"""Reached, not passed; exact; and nothing taken for 0 that is not known."""

from decimal import Decimal

import pytest

from consumer.decide import levels
from consumer.decide.model import Level, Reason
from schemas.thresholds import Line, Threshold, ThresholdType


def line(kind: str, value: object) -> Line:
    return Threshold(type=ThresholdType(kind), value=value).line


def level(usage: object = None, allowance: object = None, balance: object = None) -> Level:
    exact = [None if amount is None else Decimal(str(amount)) for amount in (usage, allowance, balance)]
    return Level(*exact)


def reached(one: Line, at: Level) -> bool | None:
    ((_, is_reached),) = levels.placed([one], at)
    return is_reached


@pytest.mark.parametrize(
    ("kind", "value", "at", "is_reached"),
    [
        # a percentage: exactly at it is reached, one digit below is not
        ("usage_percentage", 80, level(80, 100), True),
        ("usage_percentage", 80, level("79.99999999999999999999", 100), False),
        ("usage_percentage", 100, level(10**30 - 1, 10**30), False),
        ("usage_percentage", 100, level(10**30, 10**30), True),
        ("usage_percentage", "33.3", level("0.333", 1), True),
        # more than the allowance
        ("usage_percentage", 150, level(149, 100), False),
        ("usage_percentage", 150, level(150, 100), True),
        # a tiny allowance, a tiny threshold
        ("usage_percentage", "1e-38", level("1e-38", 1), True),
        ("usage_percentage", 100, level("1e-38", "1e-38"), True),
        # a value
        ("usage_value", 80, level(80), True),
        ("usage_value", 80, level("79.9999999999"), False),
        ("usage_value", "9" * 38, level("9" * 37 + "8"), False),
        # a balance is reached from above
        ("balance_value", 20, level(balance=20), True),
        ("balance_value", 20, level(balance="20.000000001"), False),
        ("balance_value", 0, level(balance=0), True),
        ("balance_value", 0, level(balance="-0"), True),
        ("balance_value", 0, level(balance=-5), True),
        ("balance_value", -5, level(balance=-5), True),
        ("balance_value", -5, level(balance="-4.999"), False),
        # the aliases
        ("PERCENT", 80, level(80, 100), True),
        ("PERCENT", 80, level(79, 100), False),
        ("NUMBER", 80, level(80, 100_000), True),
        ("NUMBER", 80, level(79, 1), False),
    ],
)
def test_a_threshold_is_reached_at_its_exact_level(kind: str, value: object, at: Level, is_reached: bool) -> None:
    assert reached(line(kind, value), at) is is_reached


@pytest.mark.parametrize(
    ("kind", "at", "why"),
    [
        # a percentage of nothing, of a debt, of what is not known
        ("usage_percentage", level(10, 0), Reason.NO_ALLOWANCE),
        ("usage_percentage", level(10, -100), Reason.NO_ALLOWANCE),
        ("usage_percentage", level(10), Reason.NO_ALLOWANCE),
        ("PERCENT", level(10), Reason.NO_ALLOWANCE),
        # usage is not known: it is not 0
        ("usage_percentage", level(allowance=100), Reason.NO_ALLOWANCE),
        ("usage_value", level(allowance=100, balance=5), Reason.NO_BALANCE),
        ("NUMBER", level(allowance=100, balance=5), Reason.NO_BALANCE),
        # a balance that is not known is not 0
        ("balance_value", level(10, 100), Reason.NO_BALANCE),
        # what is known suffices
        ("usage_percentage", level(0, "1e-38"), None),
        ("usage_value", level(10), None),
        ("usage_value", level(10, 0), None),
        ("balance_value", level(balance=0), None),
    ],
)
def test_what_is_not_known_is_not_judged(kind: str, at: Level, why: Reason | None) -> None:
    one = line(kind, 50)

    assert (reached(one, at) is None) is (why is not None)
    assert why in {None, levels.lacks(one)}


def test_thresholds_reached_at_once_come_in_rising_order() -> None:
    at = level(usage=1000, allowance=200, balance=0)
    rising = (
        line("usage_value", 1),
        line("usage_percentage", 25),  # 50 of 200
        line("usage_value", 100),
        line("usage_percentage", 50),  # 100 too: on a tie the percentage is the more advanced
        line("NUMBER", 199),
        line("PERCENT", 100),
        line("balance_value", "9" * 38),
        line("balance_value", "9" * 37 + "8"),
        line("balance_value", 0),
    )

    backwards = rising[::-1]
    ordered = sorted(backwards, key=lambda one: levels.advancement(one, at))

    assert tuple(ordered) == rising


def test_without_an_allowance_there_is_an_order_all_the_same() -> None:
    at = level(usage=1000)

    assert levels.advancement(line("usage_percentage", 1), at) < levels.advancement(line("NUMBER", 2), at)


@pytest.mark.parametrize(
    ("at", "percent"),
    [
        (level(0, 100), 0),
        (level("9.999999999999999999999999999", 100), 0),
        (level(10, 100), 10),
        (level("79.99", 100), 70),
        (level("0.8", 1), 80),
        (level(1, 3), 30),
        (level("1e-38", "1e-38"), 100),
        (level(135, 100), 130),
        # below nothing, and without an end
        (level(-5, 100), 0),
        (level(1009, 100), 1000),
        (level("9" * 38 + "e38", "1e-38"), 1000),
        # of no allowance there is no part
        (level(5), None),
        (level(5, 0), None),
        (level(5, -1), None),
        (level(None, 100), None),
    ],
)
def test_the_coarse_level_is_rounded_down_to_a_multiple_of_ten(at: Level, percent: int | None) -> None:
    assert levels.coarse(at.usage, at.allowance) == percent


def test_the_usage_at_which_a_coarse_level_begins_is_exact() -> None:
    assert levels.coarse_amount(30, Decimal("0.1")) == Decimal("0.03")
