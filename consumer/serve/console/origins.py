"""Cross-site requests: what changes something must come from a page of this console. No token is needed for that.

As Go 1.25's CrossOriginProtection and OWASP's primary defence: browsers say where a request comes from.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from consumer.serve.problems import ApiProblem

_OWN: Final = frozenset({"same-origin", "none"})  # none: a person typed the address, or used a bookmark


def check(headers: Mapping[str, str]) -> None:
    """See that a request with *headers*, that would change something, is of a page of ours.

    Raises:
        Problem: 403, it comes from elsewhere, or does not say from where.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in _OWN:
            raise ApiProblem(HTTPStatus.FORBIDDEN, "the request was sent by a page of another site: nothing was done")
        return
    # On plain http under any name but localhost, browsers send no Sec-Fetch-Site, but Origin with every POST.
    origin = headers.get("Origin", "")
    if not origin:
        raise ApiProblem(HTTPStatus.FORBIDDEN, "the request has neither Sec-Fetch-Site nor Origin: nothing was done")
    if _authority(origin) != headers.get("Host", "").lower():
        raise ApiProblem(
            HTTPStatus.FORBIDDEN,
            "the request was sent by a page of another origin: nothing was done. A proxy must pass Host on as it is",
        )


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
