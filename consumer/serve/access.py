"""Who may ask for what: bearer tokens, each with a namespace and a scope.

Without tokens the API is for this machine alone, and then a browser is the danger: a page from elsewhere may send
requests here (drive-by), or have its own name resolve to 127.0.0.1 (DNS rebinding). So Host and Origin are looked at.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from consumer.serve.problems import Problem
from schemas.secret import Secret

Scope = Literal["read", "write"]
OPEN_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token, what it opens, and for what."""

    namespace: str
    scope: Scope
    token: Secret


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do."""

    namespace: str
    scope: Scope

    def check_write(self) -> None:
        """See that it may change something.

        Raises:
            Problem: 403, it may not.
        """
        if self.scope != "write":
            raise Problem(HTTPStatus.FORBIDDEN, "this token may read, not write: use one with the scope write")


class Gate:
    """Lets requests in."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._tokens = [(_digest(one.token.reveal()), Access(one.namespace, one.scope)) for one in tokens]

    def admit(self, headers: Mapping[str, str]) -> Access:
        """Return what a request with *headers* may do.

        Raises:
            Problem: 401, its token is missing or wrong; 403, there are no tokens, and it comes from elsewhere.
        """
        if not self._tokens:
            _check_local(headers)
            return Access(OPEN_NAMESPACE, "write")
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        given = _digest(token.strip())
        found: Access | None = None
        for digest, access in self._tokens:  # all of them, whichever it is: the time says nothing
            if hmac.compare_digest(digest, given):
                found = access
        if scheme.lower() != "bearer" or found is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "send a token of TOLLBELL_API_TOKENS as `Authorization: Bearer …`")
        return found


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, is this machine by itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _check_local(headers: Mapping[str, str]) -> None:
    host = headers.get("Host", "")
    if not is_loopback(_hostname(f"//{host}")):
        raise Problem(HTTPStatus.FORBIDDEN, "without TOLLBELL_API_TOKENS, only this machine may ask: Host is another")
    origin = headers.get("Origin")
    if origin is not None and not is_loopback(_hostname(origin)):
        raise Problem(HTTPStatus.FORBIDDEN, "without TOLLBELL_API_TOKENS, no page from elsewhere may ask: see Origin")


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
