"""Who may ask for what: bearer tokens, each with a namespace and a scope.

Without tokens the API is for this machine alone, and then a browser is the danger: a page from elsewhere may send
requests here (drive-by), or have its own name resolve to 127.0.0.1 (DNS rebinding). So Host and Origin are looked at.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from consumer.serve.problems import ApiProblem, Fault, bad_request
from schemas.model import KEY_PATTERN, MAX_KEY
from schemas.secret import Secret

Scope = Literal["read", "write"]
DEFAULT_NAMESPACE: Final = "default"
ALL: Final = "*"  # the namespace of a token that is for every one of them
_NAMESPACE: Final = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token, what it opens (a namespace, or `ALL`), and for what."""

    namespace: str
    scope: Scope
    token: Secret


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do.

    Attributes:
        namespace: what it sees and changes.
        spans: whether its token is for all namespaces: it may ask for another one, and see what spans them.
    """

    namespace: str
    scope: Scope
    spans: bool = False

    def within(self, namespace: str | None) -> "Access":
        """Return the same within *namespace*; None: where it is.

        Raises:
            Problem: 403, its token is for another one; 400, none can be called that.
        """
        if namespace is None or namespace == self.namespace:
            return self
        if not self.spans:
            raise ApiProblem(HTTPStatus.FORBIDDEN, "this token is for another namespace: leave `namespace` out")
        if len(namespace) > MAX_KEY or not _NAMESPACE.fullmatch(namespace):
            problem = f"must have 1 to {MAX_KEY} characters, none of them a control character"
            raise bad_request(f"namespace: {problem}", [Fault("namespace", problem)])
        return replace(self, namespace=namespace)

    def check_spans(self) -> None:
        """See that it may look at what spans namespaces.

        Raises:
            Problem: 403, it may not.
        """
        if not self.spans:
            raise ApiProblem(
                HTTPStatus.FORBIDDEN,
                "this spans all namespaces: use a token for all of them, `*:read:…` or `*:write:…`",
            )

    def check_write(self) -> None:
        """See that it may change something.

        Raises:
            Problem: 403, it may not.
        """
        if self.scope != "write":
            raise ApiProblem(HTTPStatus.FORBIDDEN, "this token may read, not write: use one with the scope write")


class Gate:
    """Lets requests in."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._tokens = [(digest_of(one.token.reveal()), _access(one)) for one in tokens]

    @property
    def is_open(self) -> bool:
        """Whether there are no tokens: any process on this machine may do everything."""
        return not self._tokens

    def opened_by(self, token: bytes) -> Access | None:
        """Return what the token with this digest may do; None where it is none of ours, or not any more."""
        found: Access | None = None
        for digest, access in self._tokens:  # all of them, whichever it is: the time says nothing
            if hmac.compare_digest(digest, token):
                found = access
        return found

    def admit(self, headers: Mapping[str, str]) -> Access:
        """Return what a request with *headers* may do.

        Raises:
            Problem: 401, its token is missing or wrong; 403, there are no tokens, and it comes from elsewhere.
        """
        if not self._tokens:
            _check_local(headers)
            return Access(DEFAULT_NAMESPACE, "write")
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        found = self.opened_by(digest_of(token.strip()))
        if scheme.lower() != "bearer" or found is None:
            raise ApiProblem(
                HTTPStatus.UNAUTHORIZED, "send a token of TOLLBELL_API_TOKENS as `Authorization: Bearer …`"
            )
        return found


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, is this machine by itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _access(token: ApiToken) -> Access:
    if token.namespace == ALL:
        return Access(DEFAULT_NAMESPACE, token.scope, spans=True)
    return Access(token.namespace, token.scope)


def _check_local(headers: Mapping[str, str]) -> None:
    host = headers.get("Host", "")
    if not is_loopback(hostname(f"//{host}")):
        raise ApiProblem(
            HTTPStatus.FORBIDDEN, "without TOLLBELL_API_TOKENS, only this machine may ask: Host is another"
        )
    origin = headers.get("Origin")
    if origin is not None and not is_loopback(hostname(origin)):
        raise ApiProblem(
            HTTPStatus.FORBIDDEN, "without TOLLBELL_API_TOKENS, no page from elsewhere may ask: see Origin"
        )


def hostname(url: str) -> str:
    """Return the name or address of the host in *url*; empty where it has none that could be one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def digest_of(token: str) -> bytes:
    """Return by what a token is known, without being it."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
