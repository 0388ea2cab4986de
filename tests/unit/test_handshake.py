"""A receiver's consent, by the headers of its answer to OPTIONS (CloudEvents, HTTP webhooks 1.0.2, section 4)."""

import pytest

from consumer.formats import handshake
from consumer.formats.handshake import Consent

US = "tollbell.example.com"


@pytest.mark.parametrize(
    ("origin", "rate", "consent"),
    [
        (b"tollbell.example.com", b"120", 2.0),
        (b"Tollbell.Example.COM", b"*", None),
        (b"*", b"1", 1 / 60),
        (b" * ", b" 60 ", 1.0),
        (b"*", None, None),  # it SHOULD say a rate, and need not where none was asked for
        (b"*", b"600000", 10_000.0),
        (b"*", b"600001", None),  # faster than any channel goes
        (b"*", b"9" * 16, None),
        (b"*", b"9" * 5000, None),  # more digits than Python reads
        (b"*", b"0" * 20 + b"60", 1.0),
    ],
)
def test_our_name_or_an_asterisk_is_consent(origin: bytes, rate: bytes | None, consent: float | None) -> None:
    assert handshake.read(US, allowed_origin=origin, allowed_rate=rate) == Consent(consent)


@pytest.mark.parametrize(
    ("origin", "rate", "says"),
    [
        (None, None, "has no WebHook-Allowed-Origin"),
        (None, b"120", "has no WebHook-Allowed-Origin"),
        (b"", None, "allows another"),
        (b"other.example.com", b"120", "allows another"),
        (b"tollbell.example.com.evil.example", b"120", "allows another"),
        (b"https://tollbell.example.com", b"120", "allows another"),
        (b"*, tollbell.example.com", b"120", "allows another"),
        (b"\xff\xfe", b"120", "allows another"),
        (b"*", b"0", "not a whole number"),
        (b"*", b"-1", "not a whole number"),
        (b"*", b"1.5", "not a whole number"),
        (b"*", b"0" * 5000, "not a whole number"),
        (b"*", "\u0661".encode(), "not a whole number"),
        (b"*", b"", "not a whole number"),
    ],
)
def test_anything_else_is_none_and_says_why(origin: bytes | None, rate: bytes | None, says: str) -> None:
    read = handshake.read(US, allowed_origin=origin, allowed_rate=rate)

    assert isinstance(read, str)
    assert says in read


@pytest.mark.parametrize(
    ("rate", "asked"), [(None, None), (2.0, "120"), (0.001, "1"), (0.99, "59"), (10_000.0, "600000")]
)
def test_a_rate_is_asked_for_in_whole_requests_a_minute(rate: float | None, asked: str | None) -> None:
    made = dict(handshake.headers(US, rate))

    assert made[handshake.ORIGIN] == US
    assert made.get(handshake.RATE) == asked
