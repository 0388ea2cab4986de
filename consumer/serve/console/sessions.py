"""Sessions: a cookie, sealed with the key that exists, that names the token of the sign-in. No table.

Any replica opens it; taking the token out of TOLLBELL_API_TOKENS ends its sessions at once, for a session knows no more
than the token's digest, and what that may do is looked up with each request.
"""

import base64
import binascii
import datetime as dt
import math
from typing import Final

import msgspec
from aiohttp import web

from consumer import clock
from consumer.encryption import Cipher
from consumer.errors import Refused
from schemas.secret import Secret

LASTS: Final = dt.timedelta(hours=12)
ROW: Final = "console-session"  # the associated data: nothing else that the key has sealed opens as a session
NAME: Final = "tollbell"
# A browser takes this name over https alone, for this host alone: no other of the domain can plant a session.
SECURE_NAME: Final = "__Host-tollbell"
_MAX_LENGTH: Final = 1024  # ours has 220 characters


class Session(msgspec.Struct, frozen=True):
    """Who signed in.

    Attributes:
        token: the digest of the token by which it began.
        ends_at: Unix seconds.
        namespace: the one that is looked at, by a token for all of them; None: none was chosen yet.
    """

    token: bytes
    ends_at: float
    namespace: str | None = None


_decoder: Final = msgspec.json.Decoder(Session)


class Sessions:
    """Begins, opens and ends sessions."""

    def __init__(self, cipher: Cipher, path: str) -> None:
        """Prepare; *path* is what the cookie is sent to, where its name leaves a choice."""
        self._cipher = cipher
        self._path = path

    def begin(self, request: web.Request, response: web.StreamResponse, token: bytes) -> None:
        """Let *response* set the cookie of a session of the token with this digest."""
        self._seal(request, response, Session(token, (clock.now() + LASTS).timestamp()))

    def switch(self, request: web.Request, response: web.StreamResponse, session: Session, namespace: str) -> None:
        """Let *response* set the cookie of the same session, which looks at *namespace* and ends when it would have."""
        self._seal(request, response, Session(session.token, session.ends_at, namespace))

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let *response* take the cookie away."""
        self._set(request, response, "", 0)

    def of(self, request: web.Request) -> Session | None:
        """Return the session of *request*; None where there is none, or it has ended."""
        given = request.cookies.get(SECURE_NAME if is_secure(request) else NAME, "")
        if not 0 < len(given) <= _MAX_LENGTH:
            return None
        try:
            sealed = base64.b64decode(given, altchars=b"-_", validate=True)
            session = _decoder.decode(self._cipher.decrypt(sealed, row=ROW).reveal())
        except (binascii.Error, ValueError, Refused, msgspec.MsgspecError):
            return None
        return session if clock.now().timestamp() < session.ends_at else None

    def _seal(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        sealed = self._cipher.encrypt(Secret(msgspec.json.encode(session).decode()), row=ROW)
        seconds = max(math.ceil(session.ends_at - clock.now().timestamp()), 1)
        self._set(request, response, base64.urlsafe_b64encode(sealed).decode(), seconds)

    def _set(self, request: web.Request, response: web.StreamResponse, value: str, seconds: int) -> None:
        secure = is_secure(request)
        response.set_cookie(
            SECURE_NAME if secure else NAME,
            value,
            max_age=seconds,
            path="/" if secure else self._path,  # `__Host-` allows no other
            secure=secure,
            httponly=True,
            samesite="Lax",  # with Strict, a link from a chat would lead to the sign-in
        )


def is_secure(request: web.Request) -> bool:
    """Return whether the browser speaks https: with us, or with the proxy before us.

    A client that sends that header without a proxy misleads itself alone: it gets a cookie that it does not send back.
    """
    nearest_to_it = request.headers.get("X-Forwarded-Proto", "").partition(",")[0]  # of several proxies the first
    return request.secure or nearest_to_it.strip().lower() == "https"
