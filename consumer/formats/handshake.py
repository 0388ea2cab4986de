"""Whether a receiver has consented to be sent to, by its answer to OPTIONS. Pure.

CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery" 1.0.2, section 4. The status says nothing: "the handshake cannot
rely on status codes".
"""

import re
from dataclasses import dataclass
from typing import Final

ORIGIN: Final = "webhook-request-origin"
RATE: Final = "webhook-request-rate"
ANY: Final = "*"
_MINUTE: Final = 60.0  # seconds: rates are said in requests a minute
_FASTEST: Final = 600_000  # a minute, the highest rate that a channel may have: beyond it there is no limit
_NUMBER: Final = re.compile(r"0*([1-9][0-9]*)")
_DIGITS: Final = len(str(_FASTEST))  # a number of more is beyond it, and may be longer than Python reads


@dataclass(frozen=True, slots=True)
class Consent:
    """A receiver's, to *rate* requests a second; None: to as many as we like."""

    rate: float | None


def headers(origin: str, rate: float | None) -> tuple[tuple[str, str], ...]:
    """Return the headers by which consent is asked for as *origin*, to *rate* requests a second; None: it says none."""
    asked = () if rate is None else ((RATE, str(max(1, int(rate * _MINUTE)))),)
    return ((ORIGIN, origin), *asked)


def read(origin: str, *, allowed_origin: bytes | None, allowed_rate: bytes | None) -> Consent | str:
    """Return the consent that the headers of an answer give to *origin*; a text says why they give none.

    The rate may be absent: where none was asked for the specification lets it be, and an origin is consent enough. One
    that can't be read can't be kept to.
    """
    if allowed_origin is None:
        return f"has no WebHook-Allowed-Origin: to consent, it must say {origin} there, or *"
    if allowed_origin.decode("latin-1").strip().lower() not in {origin.lower(), ANY}:
        return f"allows another WebHook-Allowed-Origin than {origin}"
    rate = ANY if allowed_rate is None else allowed_rate.decode("latin-1").strip()
    if rate == ANY:
        return Consent(None)
    number = _NUMBER.fullmatch(rate)
    if number is None:
        return "has a WebHook-Allowed-Rate that is not a whole number of requests a minute, nor *"
    digits = number[1]
    return Consent(None if len(digits) > _DIGITS or int(digits) > _FASTEST else int(digits) / _MINUTE)
