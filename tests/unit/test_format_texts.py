"""Numbers, times and names as people read them, and cut as no receiver would object to."""

import datetime as dt
from decimal import Decimal

import pytest

from consumer.formats import texts

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
THUMB = "\U0001f44d\U0001f3fd"
FLAG = "\U0001f1ea\U0001f1fa"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
ACCENTED = "e\u0301"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0"),
        ("-0.00", "0.00"),
        ("999", "999"),
        ("8100", "8,100"),
        ("-1234.5", "-1,234.5"),
        ("1E+6", "1,000,000"),
        ("123456789012345678901234567890", "123,456,789,012,345,678,901,234,567,890"),
        ("0.000000000000000000000000000001", "0.000000000000000000000000000001"),
        ("1234567.10", "1,234,567.10"),
    ],
)
def test_a_number_is_grouped_and_keeps_its_digits(amount: str, shown: str) -> None:
    assert texts.number(Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        ("81", "100", "81 %"),
        ("1", "3", "33.3 %"),
        ("99999", "100000", "99.9 %"),  # never 100 before it is
        ("100", "100", "100 %"),
        ("25", "10", "250 %"),
        ("0", "7", "0 %"),
        ("-1", "100000", "0 %"),
        ("1e38", "1e-38", f"1{',000' * 26} %"),
    ],
)
def test_a_share_is_cut_to_a_tenth(part: str, whole: str, shown: str) -> None:
    assert texts.share(Decimal(part), Decimal(whole)) == shown


@pytest.mark.parametrize(("value", "shown"), [("80.0", "80"), ("8E+1", "80"), ("99.50", "99.5"), ("-0", "0")])
def test_a_threshold_is_shown_without_idle_zeros(value: str, shown: str) -> None:
    assert texts.plain(Decimal(value)) == shown


def test_ordinals_are_english() -> None:
    shown = [texts.ordinal(count) for count in (1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 101, 111, 112)]

    assert shown == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "10th",
        "11th",
        "12th",
        "13th",
        "21st",
        "22nd",
        "101st",
        "111th",
        "112th",
    ]


def test_a_moment_is_in_utc() -> None:
    at = dt.datetime(2026, 12, 1, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    assert texts.moment(at) == "30 November 2026, 23:05 UTC"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  ACME\r\n\tInc.  ", "ACME Inc."),
        ("a\x00b\x9fc", "a b c"),
        ("\u202eevil\u202c", "evil"),
        ("\u2066a\u2069\ufeff", "a"),
        ("\u200b \u2028", ""),
        ("אבג", "\u2068אבג\u2069"),
        ("x" * 121, "x" * 119 + "…"),
        (FAMILY, FAMILY),
    ],
)
def test_a_name_is_one_line_that_turns_nothing_around(given: str, shown: str) -> None:
    assert texts.name(given) == shown


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("a😀b", 4, "a😀b"),
        ("ab😀c", 4, "ab…"),  # two units each
        (f"a{FAMILY}b", 11, "a…"),
        (f"a{THUMB}bc", 6, f"a{THUMB}…"),
        (f"a{THUMB}bc", 5, "a…"),
        (f"{FLAG}{FLAG}", 6, f"{FLAG}…"),
        (f"a{SCOTLAND}b", 14, "a…"),
        (f"a{ACCENTED}bc", 3, "a…"),
        ("a" + "\u0301" * 100, 40, "a" + "\u0301" * 31 + "…"),
    ],
)
def test_a_text_is_cut_between_characters(text: str, limit: int, cut: str) -> None:
    assert texts.cut(text, limit) == cut


def test_an_escape_is_never_cut_in_two() -> None:
    assert texts.cut("a&b&c", 8, lambda text: text.replace("&", "&amp;")) == "a&amp;b…"
    assert texts.cut("a&b&c", 7, lambda text: text.replace("&", "&amp;")) == "a&amp;…"


def test_an_isolate_that_is_cut_is_closed() -> None:
    named = texts.name("אבגד") + " owes"

    assert texts.cut(named, 5) == "\u2068אב…\u2069"
    assert texts.cut(named, 9) == "\u2068אבגד\u2069 …"
