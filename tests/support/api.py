"""The API of a running replica, as a client without a library uses it."""

import contextlib
import functools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp

from tests.support.openapi import problems_of_answer
from tests.support.service import Replica

BASE = "/api/v1/notification"


@dataclass
class Api:
    replica: Replica
    session: aiohttp.ClientSession
    port: int
    namespace: str = "default"

    async def __call__(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
        """Return the status and the JSON, numbers exact; *path* is below the notifications'.

        Every answer on a path that the reference product has is held against its document.
        """
        async with self.session.request(method, self.url(path), json=body, **more) as answered:
            text = await answered.text()
            answer = json.loads(text, parse_float=Decimal) if text else None
            found = problems_of_answer(method, answered.url.path, answered.status, answered.content_type, answer)
            assert not found, (method, path, answered.status, found)
            return answered.status, answer

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{BASE}{path}"

    async def topic(self) -> str:
        """The topic that the replica reads."""
        return str((await self.replica.logged("topic.start_resolved"))[0]["topic"])


@contextlib.asynccontextmanager
async def talking(replica: Replica, *, token: str = "", namespace: str = "default") -> AsyncIterator[Api]:
    port = (await replica.logged("http.listening"))[0]["port"]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    dumps = functools.partial(json.dumps, default=float)  # of what was read, put back: its fractions are Decimal
    async with aiohttp.ClientSession(headers=headers, json_serialize=dumps) as session:
        yield Api(replica, session, port, namespace)


def channel(url: str = "https://example.com/hook", **more: object) -> dict[str, object]:
    return {"type": "WEBHOOK", "name": "Hook", "url": url, **more}


def rule(*channels: str, **more: object) -> dict[str, object]:
    thresholds = [{"type": "usage_percentage", "value": 80}]
    return {
        "type": "entitlements.balance.threshold",
        "name": "Quota",
        "channels": list(channels),
        "thresholds": thresholds,
        **more,
    }
