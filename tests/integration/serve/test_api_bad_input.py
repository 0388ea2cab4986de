"""What a hostile or mistaken client sends: the reference's status, what to change, and nothing half done."""

import asyncio
import io
from typing import Any

import psutil

from tests.conftest import MakeDeployment
from tests.support.api import BASE, Api, channel, rule, talking

TOKENS = "default:write:writer,default:read:reader,other:write:foreigner"
JSON = {"Content-Type": "application/json"}
LEVELS = 10_000


async def sent(api: Api, raw: bytes, **headers: str) -> tuple[int, Any]:
    async with api.session.post(api.url("/channels"), data=io.BytesIO(raw), headers=JSON | headers) as answered:
        return answered.status, await answered.json(content_type=None)


async def test_a_body_that_cannot_be_read_is_refused_and_makes_nothing(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        name = b'{"type": "WEBHOOK", "url": "https://example.com/", "name": '
        bad = {
            "deep": b'{"a": ' + b"[" * LEVELS + b"]" * LEVELS + b"}",
            "no utf-8": name + b'"\xff"}',
            "nul": name + b'"a\\u0000b"}',
            "half a pair": name + b'"\\ud800"}',
            "twice": name + b'"a", "name": "b"}',
            "no json": b"{",
            "no object": b"[]",
            "no number": name + b"NaN}",
        }
        for what, raw in bad.items():
            status, problem = await sent(api, raw)
            assert (status, problem["status"]) == (400, 400), what
            assert len(problem["detail"]) < 300, what
        assert (await sent(api, b"a=b", **{"Content-Type": "text/plain"}))[0] == 415
        process = psutil.Process(replica.process.pid)
        before = process.memory_info().rss
        assert {status for status, _ in [await sent(api, b"x" * 10_000_000) for _ in range(5)]} == {413}
        assert process.memory_info().rss - before < 20_000_000
        assert (await api("GET", "/channels?includeDeleted=true&includeDisabled=true"))[1]["totalCount"] == 0
        for odd in ("%00", "%ED%A0%80", "a" * 1000, "%F0%9F%94%94", "'%3B--"):
            assert (await api("GET", f"/channels/{odd}"))[0] == 404, odd
        assert (await api("PATCH", "/channels"))[0] == 405
        status, problem = await api("POST", "/channels", channel(custom_headers={"A": "1"}))
        assert (status, problem["extensions"]["invalidFields"][0]["field"]) == (400, "custom_headers")
        status, _ = await api("POST", "/channels", channel(id="x", createdAt=1, updatedAt=None, deletedAt="?"))
        assert status == 201


async def test_of_many_writers_one_wins_whole(shared_api: Api) -> None:
    api = shared_api
    hooks = [(await api("POST", "/channels", channel(name=f"c{n}")))[1]["id"] for n in range(20)]
    _, quota = await api("POST", "/rules", rule(hooks[0]))

    def put(n: int) -> dict[str, object]:
        return rule(hooks[n], name=f"r{n}", thresholds=[{"type": "usage_value", "value": n + 1}])

    results = await asyncio.gather(*(api("PUT", f"/rules/{quota['id']}", put(n)) for n in range(20)))
    assert {status for status, _ in results} == {200}
    _, last = await api("GET", f"/rules/{quota['id']}")
    n = int(last["name"][1:])
    assert [one["id"] for one in last["channels"]] == [hooks[n]]
    assert last["thresholds"] == [{"type": "usage_value", "value": n + 1}]

    made = await asyncio.gather(*(api("POST", "/channels", channel(key="same")) for _ in range(10)))
    assert sorted(status for status, _ in made) == [201] + [409] * 9
    assert next(said["detail"] for status, said in made if status == 409).startswith("key: another one has it")

    free = [hook for hook in hooks if hook != hooks[n]]
    raced = [(api("DELETE", f"/channels/{hook}"), api("POST", "/rules", rule(hook))) for hook in free]
    outcomes = await asyncio.gather(*(asyncio.gather(*pair) for pair in raced))
    assert {(deleted, ruled) for (deleted, _), (ruled, _) in outcomes} <= {(204, 400), (400, 201)}


async def test_a_token_opens_its_namespace_for_its_scope_alone(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=TOKENS)
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()

        async def by(token: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
            return await api(method, path, body, headers={"Authorization": f"Bearer {token}"})

        async with api.session.get(api.url("/channels")) as answered:
            assert (answered.status, answered.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await by("wrong", "GET", "/channels"))[0] == 401
        status, made = await by("writer", "POST", "/channels", channel())
        assert status == 201
        assert (await by("reader", "GET", f"/channels/{made['id']}"))[0] == 200
        assert (await by("reader", "DELETE", f"/channels/{made['id']}"))[0] == 403
        for method, body in (("GET", None), ("PUT", channel()), ("DELETE", None)):
            assert (await by("foreigner", method, f"/channels/{made['id']}", body))[0] == 404
        assert (await by("foreigner", "POST", "/rules", rule(made["id"])))[0] == 400
        assert (await by("reader", "GET", f"/channels/{made['id']}"))[1] == {
            name: value for name, value in made.items() if name != "signingSecret"
        }


FROM_WHERE: list[tuple[dict[str, str], int]] = [
    ({"Host": "evil.example"}, 403),  # DNS rebinding
    ({"Host": "localhost.evil.example"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Host": "localhost:8080"}, 200),
    ({"Host": "[::1]:8080"}, 200),
    ({"Origin": "http://localhost:3000"}, 200),
]


async def test_without_tokens_only_this_machine_may_ask(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.logged("role.ready", role="serve")

        answered = [(headers, (await api("GET", "/channels", headers=headers))[0]) for headers, _ in FROM_WHERE]

        assert answered == FROM_WHERE


async def test_without_tokens_the_api_is_off_beyond_loopback(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_HTTP_LISTEN="0.0.0.0:0")
    async with await deployment.replica("--only", "serve") as replica:
        await replica.ready()

        [line] = await replica.logged("api.off")
        assert "TOLLBELL_API_TOKENS" in line["why"]
        for path in (f"{BASE}/channels", "/api/v1/openapi.json"):
            assert (await replica.http(path))[0] == 404
        await replica.logged("role.ready")
        assert [(await replica.http(path))[0] for path in ("/livez", "/readyz", "/metrics")] == [200] * 3
