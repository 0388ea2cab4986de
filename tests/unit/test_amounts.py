"""What an amount may be, and how binary floats are compared."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import amounts


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-0",
        "0.00",
        "80",
        "-80.50",
        "9" * 38,  # as many digits as are allowed
        "-" + "9" * 38,
        "0." + "9" * 38,
        "1E+38",
        "9.9E+38",
        "1E-38",
    ],
)
def test_an_amount_within_the_limits_has_no_problem(amount: str) -> None:
    assert amounts.problem(Decimal(amount)) is None


@pytest.mark.parametrize(
    "amount",
    [
        "9" * 39,
        "0." + "1" * 39,
        "1." + "0" * 38,  # zeros as written are significant
        "9" * 500,
        "1E+39",
        "1E-39",
        "1.5E-39",
        "1E+100000",
        "1E-100000",
        "-1E+999999999",
        "0E+100000",
    ],
)
def test_an_amount_beyond_the_limits_says_which(amount: str) -> None:
    assert amounts.problem(Decimal(amount)) == "has more than 38 significant digits, or an exponent beyond ±38"


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_no_amount(amount: str) -> None:
    assert amounts.problem(Decimal(amount)) == "is not a finite number"


@pytest.mark.parametrize(
    ("raw", "is_foreign"),
    [
        # numbers and strings that are numbers
        (b'{"usage": 1}', False),
        (b'{"usage": "1", "balance" : "-1.5e+3"}', False),
        (b'{"usage":"0"}', False),
        # strings that are none
        (b'{"usage": "NaN"}', True),
        (b'{"usage": "1_000"}', True),
        (b'{"usage": " 1"}', True),
        (b'{"usage": "1 "}', True),
        (b'{"usage": ""}', True),
        (b'{"usage": "+1"}', True),
        (b'{"usage": "01"}', True),
        (b'{"usage": ".5"}', True),
        (b'{"usage": "1."}', True),
        ('{"usage": "٣"}'.encode(), True),
        (b'{"usage":\t\r\n "x"}', True),
        # a number in JSON's escapes is looked at more closely, too
        (b'{"usage": "\\u0031"}', True),
    ],
)
def test_a_string_that_is_no_number_is_seen(raw: bytes, is_foreign: bool) -> None:
    assert amounts.has_foreign_string(raw) is is_foreign


@pytest.mark.parametrize(
    ("came", "judged"),
    [
        # what a sum of floats leaves behind
        ("99.99999999999999", "100"),
        ("100.00000000000001", "100"),
        ("0.30000000000000004", "0.3"),
        ("0.1", "0.1"),
        # nine decimals
        ("0.1234567894", "0.123456789"),
        ("0.1234567895", "0.123456790"),
        ("0.0000000001", "0"),
        ("-0.30000000000000004", "-0.3"),
        # or 15 significant digits
        ("12345678.123456789", "12345678.1234568"),
        ("123456789012345678", "123456789012346000"),
        ("1e30", "1e30"),
        ("0", "0"),
        ("-0.0", "0"),
    ],
)
def test_a_float_is_judged_to_nine_decimals_and_fifteen_digits(came: str, judged: str) -> None:
    assert amounts.judged_float(Decimal(came)) == Decimal(judged)


@given(st.floats(-1e38, 1e38, allow_nan=False))
def test_any_float_is_judged_within_what_it_is_exact_to(came: float) -> None:
    exact = Decimal(repr(came))

    judged = amounts.judged_float(exact)

    coarseness = max(Decimal("1e-9"), abs(exact) * Decimal("1e-14"))
    assert abs(judged - exact) <= coarseness
    assert amounts.judged_float(judged) == judged


def test_inexact_arithmetic_is_our_mistake_and_stops() -> None:
    with pytest.raises(decimal.Inexact):
        amounts.EXACT.divide(Decimal(1), Decimal(3))
