"""Standard Webhooks 1.0.0, the symmetric scheme `v1`: HMAC-SHA256 over id, time and the very bytes that are sent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from collections.abc import Sequence

from schemas import signing_secrets
from schemas.secret import Secret


def sign(secrets: Sequence[Secret], *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: a signature for each of *secrets*, the current one first.

    Args:
        secrets: the current one, then those still valid in a rotation.
        webhook_id: the event's id, the same on every retry; without a full stop, the signed text's separator.
        timestamp: Unix seconds of this attempt. Receivers refuse one more than five minutes off.
        body: the bytes that are sent. Receivers' libraries want them to be UTF-8.

    Raises:
        ValueError: there is no secret, one can't be used, or *webhook_id* has a full stop.
    """
    if not secrets:
        raise ValueError("no signing secret: a webhook is never sent unsigned")
    if "." in webhook_id:
        raise ValueError("the webhook-id has a full stop: the signed text would be ambiguous")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    # One space, and nothing at the ends: the Python library fails on an empty entry before it finds a match.
    return " ".join(f"v1,{_signature(signing_secrets.decode(secret), signed)}" for secret in secrets)


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
