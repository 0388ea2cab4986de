"""Webhooks as their receivers verify them: by two libraries from PyPI."""

import json
from decimal import Decimal
from typing import Any, Final

import standardwebhooks
import svix.webhooks

from schemas import signing_secrets
from tests.fakes import Received

SECRET: Final = signing_secrets.generate().reveal()


def verify(received: Received) -> dict[str, Any]:
    """Verify as two receivers' libraries do; return the body, numbers exact."""
    headers = dict(received.headers)
    standardwebhooks.Webhook(SECRET).verify(received.body, headers)
    svix.webhooks.Webhook(SECRET).verify(received.body, headers)
    assert headers["X-Webhook-Secret"] == "hush-hush"
    body: dict[str, Any] = json.loads(received.body, parse_float=Decimal)
    assert body["id"] == headers["webhook-id"]
    return body
