"""Standard Webhooks: is this body Tollbell's, and of now? Several secrets are valid while one is rotated."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300  # as of the libraries: how far the clocks may be apart, and how old a copy may be
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class Untrusted(Exception):
    """The request is not Tollbell's, or too old: answer 401."""


def keys(secrets: Sequence[str]) -> list[bytes]:
    """Return the keys of *secrets*, the new one and those that it replaces.

    Raises:
        ValueError: there is none, or one is not `whsec_` and base64.
    """
    try:
        found = [base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True) for secret in secrets]
    except ValueError:  # binascii.Error is one
        raise ValueError("a signing secret is whsec_ and base64") from None
    if not found or not all(found):
        raise ValueError("no signing secret is given")
    return found


def verify(headers: Mapping[str, str], body: bytes, keys_: Sequence[bytes], *, now: float) -> str:
    """Return the webhook-id of a request that one of *keys_* has signed; *now* in Unix seconds.

    Raises:
        Untrusted: it has no valid signature, or is more than five minutes off.
    """
    given = {name.lower(): value for name, value in headers.items() if name.lower().startswith("webhook-")}
    webhook_id, timestamp = given.get(ID, ""), given.get(TIMESTAMP, "")
    if not webhook_id or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):  # noqa: PLR2004 - digits
        raise Untrusted("it lacks webhook-id or webhook-timestamp")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Untrusted("its webhook-timestamp is more than five minutes off")
    signed = _bytes(f"{webhook_id}.{timestamp}.") + body
    valid = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys_]
    for signature in given.get(SIGNATURE, "").split():
        version, _, value = signature.partition(",")
        if version == "v1" and any(hmac.compare_digest(_bytes(value), one) for one in valid):
            return webhook_id
    raise Untrusted("no signature in it is valid")


def _bytes(text: str) -> bytes:
    """Return *text* of a header as bytes: what was not UTF-8 may be in it as surrogates, and is of no signature."""
    return text.encode(errors="replace")
