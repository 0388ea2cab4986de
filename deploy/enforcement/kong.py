"""Kong Gateway as the backend: who is cut off is in a group that the `acl` plugin denies.

Two ways, for what Kong offers:

| | who is in the group | needs |
|---|---|---|
| `AclGroups` | consumers with the `acl` group | any Kong with a database |
| `ConsumerGroups` | a consumer group's members | Enterprise or Konnect; `include_consumer_groups: true` of `acl` |

A group of the denied, and not of those who may, so that a new consumer has access without being enrolled, and a group
of this handler's alone can be compared with what Tollbell says. Without a database the Admin API only reads: use flagd
or the middleware. Paths: Kong's kong/plugins/acl/api.lua and go-kong's consumer_group_consumer_service.go.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import yarl

from .access import Place
from .handler import BackendFailed

LIMIT: Final = aiohttp.ClientTimeout(total=5.0)
PAGE_SIZE: Final = 1000  # the largest that Kong gives
PAGES: Final = 1000
logger: Final = logging.getLogger("enforcement")


class _Groups(ABC):
    """What both ways have in common.

    Args:
        url: of the Admin API, such as http://kong:8001; with a workspace http://kong:8001/my-workspace.
        groups: by feature key, the group of those who are cut off from it, of no other use. Features that are not
            there are not enforced.
        headers: such as `Kong-Admin-Token`, or `Authorization` of Konnect.
    """

    def __init__(self, url: str, groups: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> None:
        if len(set(groups.values())) != len(groups):
            raise ValueError("two features have one group: who is cut off from one would be from both")
        self._url = url.rstrip("/")
        self._groups = dict(groups)
        self._headers = dict(headers or {})

    async def cut_off(self, place: Place, until: datetime | None) -> None:  # noqa: ARG002 - Kong knows no end
        """See `Backend`; as the two that follow."""
        if place.feature in self._groups and _is_name(place.customer):
            async with self._session() as session:
                await self._add(session, self._groups[place.feature], place.customer)

    async def give_back(self, place: Place) -> None:
        """Let the customer in."""
        if place.feature in self._groups and _is_name(place.customer):
            async with self._session() as session:
                await self._remove(session, self._groups[place.feature], place.customer)

    async def converge(self, cut_off: Mapping[Place, datetime | None]) -> None:
        """Refuse these and no others."""
        async with self._session() as session:
            for feature, group in self._groups.items():
                of_feature = [place.customer for place in cut_off if place.feature == feature]
                wanted = set(filter(_is_name, of_feature))
                there = [one async for one in self._members(session, group)]
                for name in sorted(wanted.difference(*map(_names, there))):
                    await self._add(session, group, name)
                for one in there:
                    if wanted.isdisjoint(_names(one)):
                        await self._remove(session, group, str(one["id"]))

    @abstractmethod
    async def _add(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None: ...

    @abstractmethod
    async def _remove(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None: ...

    @abstractmethod
    def _members(self, session: aiohttp.ClientSession, group: str) -> AsyncIterator[Mapping[str, Any]]: ...

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self._headers, timeout=LIMIT)

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body of a call.

        Raises:
            BackendFailed: Kong did not answer, or with something else than 2xx, 404 or 409.
        """
        expected = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
        try:
            url = yarl.URL(self._url + path, encoded=True)
            async with session.request(method, url, allow_redirects=False, **more) as answer:
                is_success = answer.ok and answer.status < HTTPStatus.MULTIPLE_CHOICES
                if not is_success and answer.status not in expected:
                    raise BackendFailed(f"Kong answered {answer.status} to {method} {path}")
                body = await answer.json() if is_success and answer.status != HTTPStatus.NO_CONTENT else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise BackendFailed(f"Kong: {str(exc) or type(exc).__name__}") from exc
        return answer.status, body if isinstance(body, dict) else {}

    async def _pages(self, session: aiohttp.ClientSession, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """Return the members of a list, page after page.

        Raises:
            BackendFailed: it is not there, or does not end.
        """
        query = {"size": str(PAGE_SIZE)}
        for _ in range(PAGES):
            status, page = await self._ask(session, "GET", path, params=query)
            if status != HTTPStatus.OK:
                raise BackendFailed(f"Kong answered {status} to GET {path}")
            for one in page.get("data") or page.get("consumers") or ():  # `consumers` before Kong 3.5
                yield one
            if not page.get("offset"):
                return
            query = {"size": str(PAGE_SIZE), "offset": str(page["offset"])}
        raise BackendFailed(f"GET {path} does not end")


class AclGroups(_Groups):
    """Open Kong: the `acl` plugin with `config.deny: [GROUP]` on the routes of a feature."""

    async def _add(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None:
        # An upsert: 200 again for one that is there.
        status, _ = await self._ask(session, "PUT", f"/consumers/{_part(consumer)}/acls/{_part(group)}", json={})
        if status == HTTPStatus.NOT_FOUND:
            _unknown(consumer)
        elif status == HTTPStatus.CONFLICT:  # another handler was faster: is it so?
            await self._check(session, group, consumer)

    async def _check(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None:
        path = f"/consumers/{_part(consumer)}/acls/{_part(group)}"
        status, _ = await self._ask(session, "GET", path)
        if status != HTTPStatus.OK:
            raise BackendFailed(f"Kong did not take {consumer!r} into {group!r}")

    async def _remove(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None:
        # 404: not in the group, or no such consumer: done either way.
        await self._ask(session, "DELETE", f"/consumers/{_part(consumer)}/acls/{_part(group)}")

    async def _members(self, session: aiohttp.ClientSession, group: str) -> AsyncIterator[Mapping[str, Any]]:
        """The list has the consumers' ids; each has to be asked for its name."""
        found = [one["id"] async for one in self._pages(session, "/acls") if one.get("group") == group]
        for acl in found:
            status, consumer = await self._ask(session, "GET", f"/acls/{_part(acl)}/consumer")
            if status == HTTPStatus.OK:
                yield consumer


class ConsumerGroups(_Groups):
    """Kong Enterprise and Konnect: `acl` with `config.deny: [GROUP]` and `include_consumer_groups: true`."""

    async def _add(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None:
        path = f"/consumer_groups/{_part(group)}/consumers"
        status, _ = await self._ask(session, "POST", path, json={"consumer": consumer})
        # What a repeated POST answers is not documented: 409, or 404 as for a group or consumer that is not there.
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return
        async for one in self._members(session, group):
            if consumer in _names(one):
                return
        if status == HTTPStatus.CONFLICT:
            raise BackendFailed(f"Kong did not take {consumer!r} into {group!r}")
        _unknown(consumer)

    async def _remove(self, session: aiohttp.ClientSession, group: str, consumer: str) -> None:
        await self._ask(session, "DELETE", f"/consumer_groups/{_part(group)}/consumers/{_part(consumer)}")

    def _members(self, session: aiohttp.ClientSession, group: str) -> AsyncIterator[Mapping[str, Any]]:
        """A group that is not there is a mistake: no one would be refused."""
        return self._pages(session, f"/consumer_groups/{_part(group)}/consumers")


def _names(consumer: Mapping[str, Any]) -> set[str]:
    """Return what Kong takes for *consumer* in a path: its id, and its username, which it may lack."""
    return {str(consumer["id"]), str(consumer.get("username") or consumer["id"])}


def _part(text: str) -> str:
    return quote(text, safe="")


def _is_name(customer: str) -> bool:
    """Whether it may be part of a path: `..` is resolved away on the way, escaped or not, and names something else."""
    if customer in {"", ".", ".."}:
        _unknown(customer)
        return False
    return True


def _unknown(consumer: str) -> None:
    """Say so and go on: who is not Kong's consumer makes no requests there, and must not hold up the others."""
    logger.error("%s: Kong has no such consumer: nothing to cut off", consumer)
