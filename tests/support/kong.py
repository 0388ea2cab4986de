"""A stand-in for Kong's Admin API, on a real socket: ACL groups and consumer groups, by Kong's schema and statuses.

By kong/plugins/acl/api.lua and its api_spec, and go-kong's consumer_group_consumer_service.go. What is not documented
is asked of it both ways: what a repeated add or delete answers (`Repeats`), and under which name members are listed.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

JSON = dict[str, Any]
NOT_FOUND = {"message": "Not found"}


@dataclass(frozen=True)
class Repeats:
    """What is answered where something is so already."""

    add: int = 200
    delete: int = 404
    listed_under: str = "data"


class Kong:
    """The Admin API.

    Attributes:
        ids: of consumers, by username.
        acls: (id, consumer id, group).
        members: of consumer groups, by group name: consumer ids.
        failing: answers of the next requests, before anything is done.
        calls: method and path of each request.
    """

    def __init__(self, *consumers: str, groups: tuple[str, ...] = (), repeats: Repeats = Repeats()) -> None:
        self.ids = {name: str(uuid.uuid4()) for name in consumers}
        self.acls: list[tuple[str, str, str]] = []
        self.members: dict[str, list[str]] = {group: [] for group in groups}
        self.failing: list[int] = []
        self.calls: list[str] = []
        self._repeats = repeats
        self._changed = asyncio.Condition()
        app = web.Application(middlewares=[self._watched])
        app.add_routes(
            [
                web.get("/acls", self._list_acls),
                web.get("/acls/{acl}/consumer", self._consumer_of_acl),
                web.route("*", "/consumers/{consumer}/acls/{group}", self._acl),
                web.post("/consumer_groups/{group}/consumers", self._add_member),
                web.get("/consumer_groups/{group}/consumers", self._list_members),
                web.delete("/consumer_groups/{group}/consumers/{consumer}", self._remove_member),
            ]
        )
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def denied(self, group: str) -> list[str]:
        """Who is in *group*, of whichever kind: by name, as often as they are in it."""
        inside = [consumer for _, consumer, one in self.acls if one == group] + self.members.get(group, [])
        return sorted(name for name, id_ in self.ids.items() for one in inside if one == id_)

    async def until(self, is_so: Callable[[Self], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: is_so(self))

    @web.middleware
    async def _watched(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.raw_path}")
        if self.failing and (status := self.failing.pop(0)):
            return web.json_response({"message": "An unexpected error occurred"}, status=status)
        try:
            answer: web.StreamResponse = await handler(request)
        finally:
            async with self._changed:
                self._changed.notify_all()
        return answer

    def _id(self, given: str) -> str | None:
        return self.ids.get(given) or (given if given in self.ids.values() else None)

    def _shown(self, id_: str) -> JSON:
        return {"id": id_, "username": next(name for name, one in self.ids.items() if one == id_), "custom_id": None}

    async def _acl(self, request: web.Request) -> web.Response:
        consumer, group = self._id(request.match_info["consumer"]), request.match_info["group"]
        if consumer is None:
            return web.json_response(NOT_FOUND, status=404)
        found = next((one for one in self.acls if one[1:] == (consumer, group)), None)
        if request.method == "PUT":
            body = await request.json()
            if not isinstance(body.get("group", ""), str):
                return web.json_response({"fields": {"group": "expected a string"}}, status=400)
            if found and self._repeats.add != 200:
                said = {"name": "unique constraint violation", "code": 5}
                return web.json_response(said, status=self._repeats.add)
            if not found:
                self.acls.append(found := (str(uuid.uuid4()), consumer, group))
        elif not found:
            return web.json_response(NOT_FOUND, status=404) if request.method != "DELETE" else self._gone()
        elif request.method == "DELETE":
            self.acls.remove(found)
            return web.Response(status=204)
        assert found
        return web.json_response({"id": found[0], "consumer": {"id": consumer}, "group": group, "tags": None})

    async def _list_acls(self, request: web.Request) -> web.Response:
        listed = [{"id": one, "consumer": {"id": consumer}, "group": group} for one, consumer, group in self.acls]
        return self._page(request, listed, "data")

    async def _consumer_of_acl(self, request: web.Request) -> web.Response:
        found = next((one for one in self.acls if one[0] == request.match_info["acl"]), None)
        return web.json_response(self._shown(found[1])) if found else web.json_response(NOT_FOUND, status=404)

    async def _add_member(self, request: web.Request) -> web.Response:
        members, given = self.members.get(request.match_info["group"]), (await request.json())["consumer"]
        consumer = self._id(given)
        if members is None or consumer is None:
            return web.json_response(NOT_FOUND, status=404)
        if consumer in members:
            return web.json_response({"message": "repeated"}, status=self._repeats.add)
        members.append(consumer)
        group = {"name": request.match_info["group"]}
        return web.json_response({"consumer_group": group, "consumers": [self._shown(consumer)]}, status=201)

    async def _list_members(self, request: web.Request) -> web.Response:
        members = self.members.get(request.match_info["group"])
        if members is None:
            return web.json_response(NOT_FOUND, status=404)
        return self._page(request, [self._shown(one) for one in members], self._repeats.listed_under)

    async def _remove_member(self, request: web.Request) -> web.Response:
        members = self.members.get(request.match_info["group"])
        consumer = self._id(request.match_info["consumer"])
        if members is None or consumer is None:
            return web.json_response(NOT_FOUND, status=404)
        if consumer not in members:
            return self._gone()
        members.remove(consumer)
        return web.Response(status=204)

    def _gone(self) -> web.Response:
        return web.Response(status=204) if self._repeats.delete == 204 else web.json_response(NOT_FOUND, status=404)

    def _page(self, request: web.Request, listed: list[JSON], name: str) -> web.Response:
        begins = int(request.query.get("offset", "0"))
        page = listed[begins : begins + 2]  # fewer than were asked for: `size` is the most
        rest = {"offset": str(begins + 2)} if len(listed) > begins + 2 else {}
        return web.json_response({name: page, "next": None, **rest})
