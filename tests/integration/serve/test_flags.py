"""`GET /rules/{id}/flags.json`: who has access as flagd reads it, and a problem where that is not known."""

import datetime as dt
from typing import Any

import asyncpg
import pytest

from consumer import clock
from consumer.serve.api import flags
from schemas import times
from tests.conftest import MakeDeployment, Produce
from tests.support.api import Api, channel, rule, talking
from tests.support.factories import native_record, reset_record
from tests.support.fakes import Receiver
from tests.support.flagd import has_access

FULL = [{"type": "usage_percentage", "value": 80}, {"type": "usage_percentage", "value": 100}]
FOLLOWING = {"thresholds": FULL, "rearm": "recovery"}
MANY = """
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks)
    SELECT 'default', 'many-' || n, 1, now() - interval '1 day', now() + interval '1 day',
           '{"feature": {"key": "llm_tokens"}}',
           json_build_object($1::text, json_build_object('usage_percentage:100', json_build_object('state', 'fired')))
    FROM generate_series(1, $2::int) n
"""


class Month:
    """A usage period that has begun ten days ago."""

    def __init__(self) -> None:
        self.begun = clock.now().replace(microsecond=0) - dt.timedelta(days=10)
        self.minute = 0

    @property
    def period(self) -> tuple[str, str]:
        return times.text(self.begun), times.text(self.begun + dt.timedelta(days=30))

    def used(self, amount: int, **more: Any) -> bytes:
        self.minute += 1
        at = times.text(self.begun + dt.timedelta(minutes=self.minute))
        return native_record(amount, calculated_at=at, period=self.period, **more)


async def made(api: Api, receiver: Receiver, **settings: Any) -> str:
    _, hook = await api("POST", "/channels", channel(receiver.url()))
    status, one = await api("POST", "/rules", rule(hook["id"], **settings))
    assert status == 201, one
    return str(one["id"])


async def until(api: Api, rule_id: str, *, has: dict[str, bool]) -> dict[str, Any]:
    """Ask until the flags say who *has* access, as flagd does."""
    for _ in range(300):
        status, document = await api("GET", f"/rules/{rule_id}/flags.json")
        assert status == 200, document
        if {name: has_access(document, "llm_tokens", name) for name in has} == has:
            return dict(document)
        await clock.sleep(0.1)
    raise AssertionError(f"{has} never came: {document}")


async def test_a_flag_is_false_while_its_customer_is_cut_off(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment, month = await deploy(), Month()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        quota = await made(api, receiver, features=["llm_tokens", "storage"], **FOLLOWING)
        await replica.logged("catalog.loaded", rules=1)
        everyone = {"acme": True, "globex-prod": True, "c-3": True, "ent-4": True}
        document = await until(api, quota, has=everyone)
        assert set(document["flags"]) == {"llm_tokens", "storage"}

        parties = [
            {},
            {"customer": {"id": "c-2"}, "subject": {"key": "globex-prod"}},
            {"customer": {"id": "c-3"}, "subject": {"key": ""}},
            {"customer": {"id": "", "key": ""}, "subject": {"key": ""}},
        ]
        for n, party in enumerate(parties, 1):
            await produce(topic, month.used(99, entitlement=f"ent-{n}", **party))
            await produce(topic, month.used(100, entitlement=f"ent-{n}", **party))
        await until(api, quota, has=dict.fromkeys(everyone, False))

        await produce(topic, month.used(99, entitlement="ent-1"))
        await until(api, quota, has={"acme": True, "globex-prod": False})
        await produce(topic, month.used(120, entitlement="ent-1"))
        await until(api, quota, has={"acme": False})
        later = month.begun + dt.timedelta(days=1)
        period = (times.text(later), times.text(later + dt.timedelta(days=30)))
        await produce(topic, reset_record(0, reset_at=period[0], period=period, entitlement="ent-1"))
        await until(api, quota, has={"acme": True, "globex-prod": False})


async def test_a_feature_the_rule_no_longer_names_has_no_flag(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """No record of it is judged any more: who is cut off from it would be so to the period's end."""
    deployment, month = await deploy(), Month()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        quota = await made(api, receiver, features=["llm_tokens", "storage"], **FOLLOWING)
        await replica.logged("catalog.loaded", rules=1)
        tokens = {"feature": {"id": "f-tokens", "key": "llm_tokens"}}
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], month.used(100, **tokens))
        await until(api, quota, has={"acme": False})
        _, before = await api("GET", f"/rules/{quota}")
        answered = []
        for features in (["f-tokens"], ["llm_tokens"], ["storage"], None):
            status, _ = await api("PUT", f"/rules/{quota}", before | {"features": features})
            assert status == 200
            _, document = await api("GET", f"/rules/{quota}/flags.json")
            answered.append({name: has_access(document, name, "acme") for name in document["flags"]})

    assert answered == [{"llm_tokens": False}, {"llm_tokens": False}, {"storage": True}, {"llm_tokens": False}]


async def test_what_the_caller_has_already_is_not_sent_again(shared_api: Api, receiver: Receiver) -> None:
    quota = await made(shared_api, receiver, key="quota", **FOLLOWING)
    url = shared_api.url(f"/rules/{quota}/flags.json")

    async def asked(**headers: str) -> tuple[int, str, bytes]:
        async with shared_api.session.get(url, headers=headers) as answer:
            return answer.status, answer.headers["etag"], await answer.read()

    status, tag, body = await asked()
    assert (status, body) == (200, b'{"flags":{}}')
    assert await asked(**{"If-None-Match": tag}) == (304, tag, b"")
    assert await asked(**{"If-None-Match": f'"other", W/{tag}'}) == (304, tag, b"")
    assert await asked(**{"If-None-Match": '"other"'}) == (200, tag, body)
    assert (await shared_api("GET", "/rules/key:quota/flags.json"))[0] == 200


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"thresholds": FULL}, 409, "does not follow its thresholds"),
        ({"thresholds": FULL, "notifyOn": ["triggered", "recovered"]}, 409, "does not follow its thresholds"),
        (FOLLOWING | {"thresholds": FULL[:1]}, 409, "no threshold cuts off"),
        (FOLLOWING | {"thresholds": [{"type": "usage_value", "value": 5}]}, 409, "no threshold cuts off"),
        (FOLLOWING | {"thresholds": [{"type": "balance_value", "value": 1}]}, 409, "no threshold cuts off"),
        (FOLLOWING | {"disabled": True}, 409, "is disabled"),
        (FOLLOWING | {"notifyOn": ["triggered", "recovered"]}, 200, ""),
        (FOLLOWING | {"thresholds": [{"type": "balance_value", "value": 0}]}, 200, ""),
        (FOLLOWING | {"thresholds": [{"type": "PERCENT", "value": 100}]}, 200, ""),
    ],
)
async def test_a_rule_that_access_cannot_follow_is_refused(
    shared_api: Api, receiver: Receiver, settings: dict[str, Any], status: int, said: str
) -> None:
    quota = await made(shared_api, receiver, **settings)

    answered, problem = await shared_api("GET", f"/rules/{quota}/flags.json")

    assert answered == status, problem
    assert said in problem.get("detail", "")


async def test_other_types_have_no_flags(shared_api: Api, receiver: Receiver) -> None:
    _, hook = await shared_api("POST", "/channels", channel(receiver.url()))
    renewed = {"type": "entitlements.reset", "name": "Renewed", "channels": [hook["id"]]}
    _, one = await shared_api("POST", "/rules", renewed)

    assert (await shared_api("GET", f"/rules/{one['id']}/flags.json"))[0] == 400


async def test_more_than_flagd_can_bear_is_a_problem_and_not_a_part(deploy: MakeDeployment, receiver: Receiver) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        quota, other = [await made(api, receiver, **FOLLOWING) for _ in range(2)]
        connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
        await connection.execute(MANY, quota, flags.MOST_CUT_OFF)
        status, document = await api("GET", f"/rules/{quota}/flags.json")
        assert status == 200
        assert not has_access(document, "llm_tokens", "many-1")
        await connection.execute(MANY.replace("many-", "more-"), other, flags.MOST_CUT_OFF + 1)
        await connection.close()

        status, problem = await api("GET", f"/rules/{other}/flags.json")

    assert status == 503, problem
    assert "more than 10000 customers are cut off" in problem["detail"]


async def test_a_database_that_does_not_answer_is_no_empty_set(deploy: MakeDeployment, receiver: Receiver) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        quota = await made(api, receiver, **FOLLOWING)
        connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
        async with connection.transaction():
            await connection.execute("LOCK TABLE entitlement IN ACCESS EXCLUSIVE MODE")
            status, problem = await api("GET", f"/rules/{quota}/flags.json")
        await connection.close()

    assert status == 503, problem
