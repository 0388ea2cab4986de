"""Every call that names something, and every call that takes a body: unknown, deleted, raced for, unreadable."""

import asyncio
import io
import re
from dataclasses import dataclass
from typing import Any

import pytest

from consumer.serve.api.call import Operation
from consumer.serve.role import OPERATIONS
from tests.support.api import Api, channel, rule

UNKNOWN = "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"
BY_ID = [one for one in OPERATIONS if "{" in one.path]
WITH_BODY = [one for one in OPERATIONS if one.about and one.about.takes]
JSON = {"Content-Type": "application/json"}


@dataclass
class Things:
    """One of everything, by the name that a path has for it, and a good body for each call that takes one."""

    ids: dict[str, str]
    bodies: dict[str, dict[str, Any]]

    def path(self, operation: Operation, **instead: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: (self.ids | instead)[found[1]], operation.path).removeprefix(
            "/notification"
        )


@pytest.fixture
async def things(shared_api: Api) -> Things:
    _, hook = await shared_api("POST", "/channels", channel())
    _, quota = await shared_api("POST", "/rules", rule(hook["id"]))
    _, event = await shared_api("POST", f"/rules/{quota['id']}/test")
    _, job = await shared_api("POST", f"/channels/{hook['id']}/recover", {"since": "2026-01-01T00:00:00Z"})
    bodies: dict[str, dict[str, Any]] = {
        "create_channel": channel(),
        "update_channel": channel(),
        "rotate_secret": {},
        "recover_channel": {"since": "2026-01-01T00:00:00Z"},
        "create_rule": rule(hook["id"]),
        "update_rule": rule(hook["id"]),
        "resend_event": {},
        "resend_events": {"filter": {"rule": [quota["id"]]}, "dryRun": True},
        "preview_rule": {"rule": rule(hook["id"]), "record": {}},
        "preview_channel": channel("https://example.com/"),
        "explain_rule": {"record": {}},
    }
    assert bodies.keys() == {one.name for one in WITH_BODY}
    return Things({"channel": hook["id"], "rule": quota["id"], "event": event["id"], "job": job["id"]}, bodies)


async def test_every_call_by_id_finds_what_is_there(shared_api: Api, things: Things) -> None:
    in_use = {"delete_channel": 400, "get_rule_flags": 409}  # its rule still sends to it, and does not recover
    for operation in sorted(BY_ID, key=lambda one: (one.method == "DELETE", one.name.startswith("disable_"))):
        status, said = await shared_api(operation.method, things.path(operation), things.bodies.get(operation.name))
        assert status == in_use.get(operation.name, status), said
        assert status < 300 or operation.name in in_use, (operation.name, said)


@pytest.mark.parametrize("operation", BY_ID, ids=lambda one: one.name)
async def test_what_is_not_there_is_not_found(shared_api: Api, things: Things, operation: Operation) -> None:
    (name,) = re.findall(r"\{(\w+)\}", operation.path)
    others = [which for what, which in things.ids.items() if what != name]
    for which in (UNKNOWN, UNKNOWN.lower(), *others, "x", "%00", "%ED%A0%80", "%C3%BC", "a" * 65, "'%3B--", "%2E%2E"):
        path = things.path(operation, **{name: which})

        status, problem = await shared_api(operation.method, path, things.bodies.get(operation.name))

        assert (status, problem["status"]) == (404, 404), (which, problem)
        assert len(problem["detail"]) < 300


# What each call by id says of a thing that is deleted.
DELETED = {
    "get_channel": 200,
    "update_channel": 409,
    "delete_channel": 204,
    "enable_channel": 409,
    "disable_channel": 409,
    "rotate_secret": 409,
    "recover_channel": 400,
    "list_deliveries": 200,
    "test_channel": 409,
    "get_rule": 200,
    "update_rule": 409,
    "delete_rule": 204,
    "enable_rule": 409,
    "disable_rule": 409,
    "explain_rule": 200,
    "test_rule": 409,
    "get_rule_state": 200,
    "get_rule_flags": 409,
    "get_event": 200,
    "resend_event": 409,  # no channel of it is left
    "get_job": 200,
}


async def test_what_is_deleted_is_read_and_not_changed(shared_api: Api, things: Things) -> None:
    for what in ("rule", "channel"):
        assert (await shared_api("DELETE", f"/{what}s/{things.ids[what]}"))[0] == 204
    before = [(await shared_api("GET", f"/{what}s/{things.ids[what]}"))[1] for what in ("rule", "channel")]

    said = {one.name: (await shared_api(one.method, things.path(one), things.bodies.get(one.name)))[0] for one in BY_ID}

    assert said == DELETED
    assert [(await shared_api("GET", f"/{what}s/{things.ids[what]}"))[1] for what in ("rule", "channel")] == before


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.name)
async def test_a_body_that_cannot_be_read_is_refused(shared_api: Api, things: Things, operation: Operation) -> None:
    async def sent(raw: bytes, **headers: str) -> int:
        async with shared_api.session.request(
            operation.method, shared_api.url(things.path(operation)), data=io.BytesIO(raw), headers=JSON | headers
        ) as answered:
            assert answered.content_type == "application/problem+json", raw[:30]
            return answered.status

    bad = {
        "nothing": b"",
        "no json": b"{",
        "no object": b"[]",
        "null": b"null",
        "no number": b'{"a": NaN}',
        "no utf-8": b'{"a": "\xff"}',
        "half a pair": b'{"a": "\\ud800"}',
        "nul": b'{"a": "\\u0000"}',
        "nul in a name": b'{"\\u0000": 1}',
        "twice": b'{"a": 1, "a": 1}',
        "deep": b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "huge number": b'{"a": ' + b"9" * 10_000 + b"}",
        "unknown field": b'{"unknown": 1}',
    }
    assert operation.about is not None
    assert operation.about.takes is not None
    if operation.about.takes.is_optional:
        del bad["nothing"]
    assert {what: await sent(raw) for what, raw in bad.items()} == dict.fromkeys(bad, 400)
    assert await sent(b"x" * 10_000_000) == 413
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonp"):
        assert await sent(b"{}", **{"Content-Type": kind}) == 415


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.name != "get_openapi"], ids=lambda one: one.name
)
async def test_an_unknown_parameter_is_refused_or_ignored_alike(
    shared_api: Api, things: Things, operation: Operation
) -> None:
    is_list = operation.about is not None and bool(operation.about.query)
    status, _ = await shared_api(
        operation.method, things.path(operation) + "?unknown=1", things.bodies.get(operation.name)
    )

    assert (status == 400) == (is_list or operation.name == "delete_channel")


async def test_what_a_path_has_not_is_not_allowed(shared_api: Api, things: Things) -> None:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    for path in {one.path for one in OPERATIONS if one.path.startswith("/notification")}:
        here = {one.method: one for one in OPERATIONS if one.path == path}
        for method in methods:
            status, said = await shared_api(method, things.path(next(iter(here.values()))), {})
            assert (status == 405) == (method not in here), (method, path, said)


async def test_a_change_and_a_deletion_at_once_leave_it_deleted(shared_api: Api) -> None:
    hooks = [(await shared_api("POST", "/channels", channel()))[1] for _ in range(10)]
    quotas = [(await shared_api("POST", "/rules", rule(one["id"])))[1] for one in hooks]
    raced = [
        asyncio.gather(
            shared_api("PUT", f"/rules/{one['id']}", rule(hook["id"], name="Changed")),
            shared_api("DELETE", f"/rules/{one['id']}"),
        )
        for one, hook in zip(quotas, hooks, strict=True)
    ]
    said = {(changed, deleted) for (changed, _), (deleted, _) in await asyncio.gather(*raced)}
    assert said <= {(200, 204), (409, 204)}
    raced = [
        asyncio.gather(
            shared_api("DELETE", f"/channels/{one['id']}"),
            *(
                shared_api(method, f"/channels/{one['id']}{path}", body)
                for method, path, body in (
                    ("PUT", "", channel(name="Changed")),
                    ("POST", "/secret/rotate", {}),
                    ("POST", "/enable", None),
                )
            ),
        )
        for one in hooks
    ]
    for (deleted, _), *others in await asyncio.gather(*raced):
        assert deleted == 204
        assert {status for status, _ in others} <= {200, 409}
    for kind, made in (("rules", quotas), ("channels", hooks)):
        assert all([(await shared_api("GET", f"/{kind}/{one['id']}"))[1]["deletedAt"] for one in made])


async def test_no_rule_gets_a_channel_that_is_being_deleted(shared_api: Api) -> None:
    _, first = await shared_api("POST", "/channels", channel())
    hooks = [(await shared_api("POST", "/channels", channel()))[1]["id"] for _ in range(20)]
    quotas = [(await shared_api("POST", "/rules", rule(first["id"])))[1]["id"] for _ in hooks]

    raced = [
        asyncio.gather(
            shared_api("DELETE", f"/channels/{hook}"),
            shared_api("PUT", f"/rules/{quota}", rule(first["id"], hook)),
            shared_api("POST", "/rules", rule(hook)),
        )
        for hook, quota in zip(hooks, quotas, strict=True)
    ]

    for (deleted, _), (changed, _), (made, _) in await asyncio.gather(*raced):
        assert (deleted, changed, made) in {(204, 400, 400), (400, 200, 201), (400, 200, 400), (400, 400, 201)}
    _, page = await shared_api("GET", "/rules?pageSize=1000")
    used = {one["id"] for found in page["items"] for one in found["channels"]}
    _, there = await shared_api("GET", "/channels?pageSize=1000")
    assert used <= {one["id"] for one in there["items"]}
