"""Reads `GET /api/v1/notification/rules/{id}/state`: which thresholds have fired, page by page."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from . import access
from .access import Policy, Reported
from .handler import StateUnknown

PAGES: Final = 10_000  # of a hundred thresholds each: what has more does not end
LIMIT: Final = aiohttp.ClientTimeout(total=30.0)
_loads: Final = functools.partial(json.loads, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Tollbell:
    """Where Tollbell's API is.

    Attributes:
        url: such as http://tollbell:8080; may end with a path that a proxy adds.
        rules: ids, or `key:NAME`, of the rules whose thresholds cut off.
        token: with the scope `read`; empty where Tollbell asks for none.
    """

    url: str
    rules: Sequence[str]
    token: str = ""

    async def read(self, policy: Policy) -> list[Reported]:
        """Return what has fired in current periods, of what the rules still have: what is taken away ends silently.

        Raises:
            StateUnknown: Tollbell did not say.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            async with aiohttp.ClientSession(headers=headers, timeout=LIMIT) as session:
                return [one for rule in self.rules for one in await self._of_rule(session, rule, policy)]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, access.Unreadable) as exc:
            raise StateUnknown(f"Tollbell's state: {str(exc) or type(exc).__name__}") from exc

    async def _of_rule(self, session: aiohttp.ClientSession, rule: str, policy: Policy) -> list[Reported]:
        base = f"{self.url.rstrip('/')}/api/v1/notification/rules/{quote(rule, safe=':')}"
        shown = await _get(session, base)
        found: list[Reported] = []
        cursor: dict[str, str] = {}
        for _ in range(PAGES):
            page = await _get(session, f"{base}/state", **cursor)
            items = [item for item in page["items"] if access.still_has(shown, item)]
            reported = (access.read_state(str(shown["id"]), item, policy) for item in items)
            found += [one for one in reported if one is not None]
            if not page.get("nextCursor"):
                return found
            cursor = {"cursor": page["nextCursor"]}
        raise StateUnknown(f"the state of rule {rule} does not end")


async def _get(session: aiohttp.ClientSession, url: str, **query: str) -> Any:
    async with session.get(url, params=query, allow_redirects=False) as answer:
        if answer.status != HTTPStatus.OK:
            raise StateUnknown(f"Tollbell answered {answer.status}")
        return await answer.json(loads=_loads)
