"""Standard Webhooks 1.0.0, the symmetric scheme `v1`: HMAC-SHA256 over id, time and the very bytes that are sent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import binascii
import hmac
from collections.abc import Sequence

from schemas import signing_secrets
from schemas.secret import Secret


class Unsignable(ValueError):
    """Nothing can be signed by these secrets; the text says why without them."""


def keys(secrets: Sequence[Secret]) -> Sequence[bytes]:
    """Return what *secrets* sign with: of the current one first, then of those still valid in a rotation.

    Raises:
        Unsignable: there is none, or one can't be used.
    """
    if not secrets:
        raise Unsignable("no signing secret: a webhook is never sent unsigned")
    try:
        return [signing_secrets.decode(secret) for secret in secrets]
    except ValueError as problem:
        raise Unsignable(str(problem)) from None


def sign(by: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: a signature for each of the keys.

    Args:
        by: the keys.
        webhook_id: the event's id, the same on every retry; without a full stop, the signed text's separator.
        timestamp: Unix seconds of this attempt. Receivers refuse one more than five minutes off.
        body: the bytes that are sent. Receivers' libraries want them to be UTF-8.

    Raises:
        Unsignable: *webhook_id* has a full stop.
    """
    if "." in webhook_id:
        raise Unsignable("the webhook-id has a full stop: the signed text would be ambiguous")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    # One space, and nothing at the ends: the Python library fails on an empty entry before it finds a match.
    return " ".join([f"v1,{_signature(key, signed)}" for key in by])


def _signature(key: bytes, signed: bytes) -> str:
    return binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode()
