"""Webhooks shuffled, repeated, and lost and sent again end in the access that the customer has: against a model.

The model knows usage and periods and nothing of the handler: a customer at 100 % in a period that goes on is cut off.
"""

import asyncio
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.enforcement import access
from deploy.enforcement.access import Place, Policy, Reported
from deploy.enforcement.handler import Enforcer
from tests.support.enforcement import SECRET, Failing, Sender, crossed, reset

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
LEVELS = (80, 100, 120)


def text(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@dataclass
class Life:
    """An entitlement, and its webhooks as Tollbell sends them: rule-1 also notifies of recoveries, rule-2 of resets."""

    name: str
    follows: bool
    at: dt.datetime = START
    begun: dt.datetime = START
    is_over: bool = False
    used: int = 0
    episodes: dict[int, int] = field(default_factory=dict)
    fired: set[int] = field(default_factory=set)
    said: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def state(self) -> list[dict[str, Any]]:
        """What `GET /rules/{id}/state` lists of it."""
        more = {"entitlementId": self.name, "period": self.period, "feature": {"key": "llm_tokens"}}
        return [] if self.is_over else [mark | more | {"customer": {"key": self.name}} for mark in self.marks.values()]

    @property
    def about(self) -> dict[str, Any]:
        return {"entitlement": self.name, "customer": {"key": self.name}}

    @property
    def period(self) -> dict[str, str]:
        return {"from": text(self.begun), "to": text(self.begun + dt.timedelta(days=30))}

    @property
    def is_cut_off(self) -> bool:
        """A rule that does not follow its thresholds down says no more than that 100 % was reached in the period."""
        return not self.is_over and (self.used >= 100 if self.follows else 100 in self.fired)

    def use(self, used: int) -> None:
        self.at += dt.timedelta(minutes=1)
        if self.is_over:
            self._begin()
        self.used = used
        for level in LEVELS:
            if used >= level and level not in self.fired:
                self.fired.add(level)
                self.episodes[level] = self.episodes.get(level, 0) + 1
                self._say(level, "triggered", self.at)
            elif used < level and level in self.fired and self.follows:
                self.fired.remove(level)
                self._say(level, "recovered", self.at)

    def renew(self, used: int) -> None:
        """A record of the next period."""
        self.at += dt.timedelta(days=1)
        self._close()
        self._begin()
        self.said.append(reset(text(self.begun), self.period, **self.about))
        self.use(used)

    def end(self) -> None:
        """The clock ends the period: the event shows the one that ended."""
        self.at += dt.timedelta(days=1)
        if not self.is_over:
            self._close()
            self.is_over = True
            self.said.append(reset(text(self.at), self.period, **self.about))

    def _begin(self) -> None:
        self.begun, self.is_over, self.used = self.at, False, 0
        self.episodes, self.fired, self.marks = {}, set(), {}

    def _close(self) -> None:
        for level in self.fired if self.follows else ():
            self._say(level, "recovered", self.at, cause="period_end")

    def _say(self, level: int, action: str, at: dt.datetime, **more: str) -> None:
        episode = self.episodes[level]
        threshold = {"type": "usage_percentage", "value": level}
        follows = {"isReached": action == "triggered"} if self.follows else {}
        self.marks[level] = {"threshold": threshold, "episode": episode, "at": text(at), "level": self.used, **follows}
        self.said.append(crossed(level, action, at=text(at), episode=episode, period=self.period, **self.about, **more))


@st.composite
def lives(draw: st.DrawFn) -> list[Life]:
    made = [Life(f"ent-{n}", draw(st.booleans())) for n in range(draw(st.integers(1, 3)))]
    usage = st.integers(0, 130)
    step = st.one_of(
        usage.map(lambda n: ("use", n)),
        usage.map(lambda n: ("renew", n)),
        st.just(("end", 0)),
        usage.map(lambda n: ("use", n)),
    )
    for life in made:
        for kind, used in draw(st.lists(step, max_size=12)):
            if kind == "end":
                life.end()
            else:
                getattr(life, kind)(used)
    return made


async def received(order: list[tuple[str, dict[str, Any]]], failures: list[int]) -> Failing:
    backend = Failing()
    send = Sender(Enforcer(backend, [SECRET]))
    lost = []
    for n, (webhook_id, event) in enumerate(order):
        backend.before, backend.after = (failures[n % len(failures)] >> bit & 1 for bit in (0, 1))
        if await send(event, webhook_id) != 204:
            lost.append((webhook_id, event))
        backend.before = backend.after = 0
    for webhook_id, event in lost:  # the sender tries again, in whatever time
        assert await send(event, webhook_id) == 204
    return backend


@settings(max_examples=150)
@given(lives(), st.data())
def test_any_order_ends_in_the_access_that_the_customer_has(entitlements: list[Life], data: st.DataObject) -> None:
    events = [(f"{life.name}/{n}", event) for life in entitlements for n, event in enumerate(life.said)]
    again = data.draw(st.lists(st.sampled_from(events), max_size=8)) if events else []
    order = data.draw(st.permutations(events + again))
    failures = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=9))

    backend = asyncio.run(received(list(order), failures))

    check(entitlements, backend)


async def converged(order: list[tuple[str, dict[str, Any]]], at: int, entitlements: list[Life]) -> Failing:
    """Send what comes before *at*, read the state, send the rest."""
    backend = Failing()
    send = Sender(Enforcer(backend, [SECRET]))

    async def read(policy: Policy) -> Iterable[Reported]:
        items = [access.read_state("rule-1", item, policy) for life in entitlements for item in life.state]
        return [one for one in items if one is not None]

    for n, (webhook_id, event) in enumerate(order):
        if n == at:
            await send.enforcer.converge(read)
            check(entitlements, backend)
        assert await send(event, webhook_id) == 204
    if at >= len(order):
        await send.enforcer.converge(read)
    return backend


def check(entitlements: list[Life], backend: Failing) -> None:
    for life in entitlements:
        assert (Place(life.name, "llm_tokens") in backend) is life.is_cut_off, (life.name, life.said)


@settings(max_examples=150)
@given(lives(), st.data())
def test_the_state_replaces_lost_webhooks_and_outlasts_late_ones(entitlements: list[Life], data: st.DataObject) -> None:
    events = [(f"{life.name}/{n}", event) for life in entitlements for n, event in enumerate(life.said)]
    order = data.draw(st.permutations(events))

    check(entitlements, asyncio.run(converged(list(order), data.draw(st.integers(0, len(events))), entitlements)))
