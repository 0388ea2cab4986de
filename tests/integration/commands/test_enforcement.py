"""A record that reaches 100 % cuts a customer off through the real service and handler, and a reset ends it."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp.test_utils import TestServer

from consumer import clock
from deploy.enforcement import receiver
from deploy.enforcement.access import Place, Policy
from deploy.enforcement.handler import Enforcer, StateUnknown
from deploy.enforcement.middleware import Refusals
from deploy.enforcement.state import Tollbell
from schemas import times
from tests.conftest import MakeDeployment, Produce
from tests.support.enforcement import ACME, SECRET
from tests.support.factories import native_record, reset_record
from tests.support.kong import Kong
from tests.support.service import ROOT, Deployment, Replica

TOKEN = "read-me"
RULES = """\
channels:
  - {{key: access-control, type: WEBHOOK, name: Cut off access, url: "{url}", signingSecret: {secret}}}
rules:
  - key: quota
    type: entitlements.balance.threshold
    name: Quota reached
    channels: [access-control]
    thresholds: [{{type: usage_percentage, value: 80}}, {{type: usage_percentage, value: 100}}]
    notifyOn: [triggered, recovered]
    rearm: recovery
  - {{key: renewed, type: entitlements.reset, name: Renewed, channels: [access-control]}}
"""


class Watched(Refusals):
    """The backend, and a way to wait for what it says."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Condition()

    async def cut_off(self, place: Place, until: dt.datetime | None) -> None:
        await super().cut_off(place, until)
        await self._notify()

    async def give_back(self, place: Place) -> None:
        await super().give_back(place)
        await self._notify()

    async def says(self, place: Place, *, is_cut_off: bool) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: (place in self) is is_cut_off)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@dataclass(frozen=True)
class Month:
    """A usage period that has begun some days ago, and ends in some."""

    begun: dt.datetime

    @classmethod
    def ago(cls, days: int) -> "Month":
        return cls(clock.now().replace(microsecond=0) - dt.timedelta(days=days))

    @property
    def period(self) -> tuple[str, str]:
        return times.text(self.begun), times.text(self.begun + dt.timedelta(days=30))

    def used(self, amount: int, *, minute: int, entitlement: str = "ent-1", customer: str = "acme") -> bytes:
        at = times.text(self.begun + dt.timedelta(minutes=minute))
        party = {"id": f"c-{customer}", "key": customer}
        return native_record(amount, entitlement=entitlement, calculated_at=at, period=self.period, customer=party)


@contextlib.asynccontextmanager
async def serving(enforcer: Enforcer) -> AsyncIterator[str]:
    """Give the URL of the handler, without a state to keep up with."""
    async with TestServer(receiver.application(enforcer)) as server:
        yield str(server.make_url("/hooks/tollbell"))


async def state_of(replica: Replica, *rules: str, token: str = TOKEN) -> Tollbell:
    port = (await replica.logged("http.listening"))[0]["port"]
    return Tollbell(f"http://127.0.0.1:{port}", rules, token)


async def started(deployment: Deployment, url: str) -> Replica:
    applied = await deployment.apply(RULES.format(url=url, secret=SECRET))
    assert applied.status == 0, applied.err
    return await deployment.replica(TOLLBELL_API_TOKENS=f"default:read:{TOKEN}")


async def test_100_percent_cuts_off_recovery_and_reset_give_back(deploy: MakeDeployment, produce: Produce) -> None:
    deployment, backend = await deploy(), Watched()
    month, topic = Month.ago(10), deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with serving(Enforcer(backend, [SECRET])) as url, await started(deployment, url) as replica:
        await replica.ready()

        await produce(topic, month.used(100, minute=1))
        await backend.says(ACME, is_cut_off=True)
        await produce(topic, month.used(20, minute=2))
        await backend.says(ACME, is_cut_off=False)
        await produce(topic, month.used(130, minute=3))
        await backend.says(ACME, is_cut_off=True)
        renewed = Month(month.begun + dt.timedelta(days=1))
        reset_at = renewed.period[0]
        customer = {"id": "c-acme", "key": "acme"}
        await produce(topic, reset_record(0, reset_at=reset_at, period=renewed.period, customer=customer))
        await backend.says(ACME, is_cut_off=False)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.asynccontextmanager
async def running(port: int, url: str, **settings: str) -> AsyncIterator[None]:
    """Run `python -m deploy.enforcement` at *port*, with the state that Tollbell at *url* has."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.enforcement",
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "ENFORCEMENT_LISTEN": f"127.0.0.1:{port}",
            "ENFORCEMENT_SECRETS": SECRET,
            "ENFORCEMENT_RULES": "key:quota",
            "ENFORCEMENT_TOLLBELL_URL": url,
            "ENFORCEMENT_TOLLBELL_TOKEN": TOKEN,
            "ENFORCEMENT_FEATURES": "llm_tokens=cut-off-tokens",
            **settings,
        },
    )
    try:
        assert process.stderr
        async with asyncio.timeout(30):
            while b"Running on" not in await process.stderr.readline():
                assert not process.stderr.at_eof()
        yield
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("backend", ["kong-acl", "kong-consumer-groups"])
async def test_kong_converges_on_what_its_handler_missed(
    deploy: MakeDeployment, produce: Produce, backend: str
) -> None:
    """Access ends and comes back."""
    deployment, month, port = await deploy(TOLLBELL_RETRY_SCHEDULE="0s"), Month.ago(10), free_port()
    topic, url = deployment.environment["TOLLBELL_TOPICS_USAGE"], f"http://127.0.0.1:{port}/hooks/tollbell"
    async with Kong("acme", "globex", groups=("cut-off-tokens",)) as kong, await started(deployment, url) as replica:
        await replica.ready()
        api = f"http://127.0.0.1:{(await replica.logged('http.listening'))[0]['port']}"
        await produce(topic, month.used(100, minute=1))
        lines = await replica.logged("delivery.attempted", 2)  # 80 and 100 %: the handler is not there, lost for good
        assert {line["verdict"] for line in lines} == {"GiveUp"}

        settings = {"ENFORCEMENT_BACKEND": backend, "ENFORCEMENT_KONG_URL": kong.url}
        async with running(port, api, **settings):
            await kong.until(lambda one: one.denied("cut-off-tokens") == ["acme"])  # the state says so

            await produce(topic, month.used(120, minute=2, entitlement="ent-2", customer="globex"))
            await kong.until(lambda one: one.denied("cut-off-tokens") == ["acme", "globex"])
            await produce(topic, month.used(99, minute=3))
            await kong.until(lambda one: one.denied("cut-off-tokens") == ["globex"])


async def test_a_new_handler_has_the_state_of_the_old_one(deploy: MakeDeployment, produce: Produce) -> None:
    deployment, old, new = await deploy(), Watched(), Refusals()
    month, topic = Month.ago(10), deployment.environment["TOLLBELL_TOPICS_USAGE"]
    globex = Place("globex", "llm_tokens")
    async with serving(Enforcer(old, [SECRET])) as url, await started(deployment, url) as replica:
        await replica.ready()
        of_globex = [
            month.used(amount, minute=minute, entitlement="ent-2", customer="globex")
            for minute, amount in ((1, 100), (2, 20))
        ]
        await produce(topic, month.used(120, minute=1), of_globex[0])
        await old.says(globex, is_cut_off=True)
        await produce(topic, of_globex[1])
        await old.says(globex, is_cut_off=False)
        await old.says(ACME, is_cut_off=True)

        await new.cut_off(globex, None)  # what a crash left behind
        enforcer = Enforcer(new, [SECRET])
        await enforcer.converge((await state_of(replica, "key:quota")).read)

    assert enforcer.cut_off() == {ACME: month.begun + dt.timedelta(days=30)}
    assert (ACME in new, globex in new) == (True, False)


async def test_what_a_rule_no_longer_has_cuts_off_no_one(deploy: MakeDeployment, produce: Produce) -> None:
    """No webhook says so: a threshold or feature that is taken away ends silently. It is so again when put back."""
    deployment, backend = await deploy(), Watched()
    month, topic = Month.ago(10), deployment.environment["TOLLBELL_TOPICS_USAGE"]
    enforcer = Enforcer(backend, [SECRET])
    async with serving(enforcer) as url, await started(deployment, url) as replica:
        await replica.ready()
        await produce(topic, month.used(110, minute=1))
        await backend.says(ACME, is_cut_off=True)
        tollbell = await state_of(replica, "key:quota")

        found = []
        for old, new in [
            ("value: 100", "value: 120"),
            ("value: 100", "value: 1e2"),
            ("value: 80}", 'value: "50"}'),
            ("rearm:", "features: [storage]\n    rearm:"),
            ("rearm:", "features: [storage, llm_tokens]\n    rearm:"),
        ]:
            applied = await deployment.apply(RULES.replace(old, new).format(url=url, secret=SECRET))
            assert applied.status == 0, applied.err
            await enforcer.converge(tollbell.read)
            found.append(ACME in backend)

    assert found == [False, True, True, False, True]


async def test_the_state_of_a_rule_with_any_key_is_read(deploy: MakeDeployment, produce: Produce) -> None:
    deployment, backend, key = await deploy(), Watched(), "quota/eu 50%2F?#1&ü"
    async with serving(Enforcer(backend, [SECRET])) as url:
        applied = await deployment.apply(RULES.format(url=url, secret=SECRET).replace("key: quota", f'key: "{key}"'))
        assert applied.status == 0, applied.err
        async with await deployment.replica(TOLLBELL_API_TOKENS=f"default:read:{TOKEN}") as replica:
            await replica.ready()
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], Month.ago(10).used(100, minute=1))
            await backend.says(ACME, is_cut_off=True)
            reported = await (await state_of(replica, f"key:{key}")).read(Policy())

    assert [one.customer for one in reported] == ["acme", "acme"]


async def test_a_state_that_cannot_be_read_is_no_empty_one(deploy: MakeDeployment) -> None:
    deployment, backend = await deploy(), Refusals()
    await backend.cut_off(ACME, None)
    enforcer = Enforcer(backend, [SECRET])
    async with serving(enforcer) as url, await started(deployment, url) as replica:
        await replica.ready()
        wrong = [
            await state_of(replica, "key:quota", token="guessed"),
            await state_of(replica, "key:another"),
            await state_of(replica, "key:renewed"),  # has no thresholds
            Tollbell(url.removesuffix("/hooks/tollbell"), ["key:quota"]),  # not Tollbell
        ]
        for one in wrong:
            with pytest.raises(StateUnknown):
                await enforcer.converge(one.read)
    with pytest.raises(StateUnknown):
        await wrong[0].read(Policy())  # it has ended

    assert ACME in backend
    assert not enforcer.is_known
