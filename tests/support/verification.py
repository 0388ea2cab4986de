"""Webhooks as their receivers verify them: by two libraries from PyPI."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Final

import standardwebhooks
import svix.webhooks

from consumer import clock
from schemas import signing_secrets
from tests.support.fakes import Received

SECRET: Final = signing_secrets.generate().reveal()
TOLERANCE: Final = dt.timedelta(minutes=5)


def verify(received: Received) -> dict[str, Any]:
    """Verify as two receivers' libraries do, now; return the body, numbers exact."""
    headers = dict(received.headers)
    standardwebhooks.Webhook(SECRET).verify(received.body, headers)
    svix.webhooks.Webhook(SECRET).verify(received.body, headers)
    return verified_then(received)


def verified_then(received: Received) -> dict[str, Any]:
    """Verify what came at `received.at`, however long ago that is: the libraries refuse what is five minutes old."""
    headers = dict(received.headers)
    signed_at = dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC)
    came_at = clock.now() - dt.timedelta(seconds=clock.monotonic() - received.at)
    assert abs(came_at - signed_at) < TOLERANCE
    signature = standardwebhooks.Webhook(SECRET).sign(headers["webhook-id"], signed_at, received.body.decode())
    assert signature in headers["webhook-signature"].split()
    assert headers["X-Webhook-Secret"] == "hush-hush"
    body: dict[str, Any] = json.loads(received.body, parse_float=Decimal)
    assert body["id"] == headers["webhook-id"]
    return body
