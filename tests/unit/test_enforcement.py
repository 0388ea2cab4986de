"""What a webhook does to access: cut off at 100 %, back at a reset or a recovery, whatever comes twice or late."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from consumer import clock
from deploy.enforcement import access
from deploy.enforcement.access import Place, Policy, Reported
from deploy.enforcement.handler import Enforcer, StateUnknown
from tests.support.enforcement import ACME, DECEMBER, NOVEMBER, SECRET, Failing, Sender, crossed, reset, signed

ROOT = Path(__file__).parents[2]
OTHER = "whsec_" + base64.b64encode(b"another key, of the rotation").decode()
CLOCK = "2026-12-01T00:00:00Z"


@pytest.fixture
def backend() -> Failing:
    return Failing()


@pytest.fixture
def send(backend: Failing) -> Sender:
    return Sender(Enforcer(backend, [SECRET]))


async def test_a_customer_is_cut_off_at_100_percent_and_not_before(backend: Failing, send: Sender) -> None:
    assert await send(crossed(80)) == 204
    assert ACME not in backend

    assert await send(crossed(100)) == 204
    assert ACME in backend
    assert str(backend.until(ACME)) == "2026-12-01 00:00:00+00:00"


@pytest.mark.parametrize(
    ("back", "what"),
    [
        (reset("2026-11-21T00:00:00Z", NOVEMBER | {"from": "2026-11-21T00:00:00Z"}), "a manual reset"),
        (reset(CLOCK, DECEMBER), "a record of the next period"),
        (reset(CLOCK, NOVEMBER), "the clock, which knows the ended period alone"),
        (crossed(100, "recovered", at="2026-11-20T11:00:00Z"), "a recovery"),
        (crossed(100, "recovered", at=CLOCK, cause="period_end"), "a recovery by the period's end"),
        (crossed(80, "recovered", at=CLOCK, cause="period_end"), "another threshold's, by the period's end"),
        (crossed(80, at="2026-12-02T00:00:00Z", period=DECEMBER), "a warning of the next period"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_access_comes_back_by(backend: Failing, send: Sender, back: dict[str, Any], what: str) -> None:
    await send(crossed(100))

    assert await send(back) == 204

    assert ACME not in backend, what


@pytest.mark.parametrize(
    "event",
    [
        crossed(80, "recovered", at="2026-11-20T11:00:00Z"),  # of another threshold
        crossed(120, "recovered", at="2026-11-20T11:00:00Z"),  # 100 % is still reached
        reset("2026-11-01T00:00:00Z", NOVEMBER),  # come late: of this period's own start
        reset("2026-11-01T00:00:00Z", {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}),
        reset(CLOCK, DECEMBER, entitlement="ent-2"),  # of another entitlement
        crossed(100, at="2026-11-20T12:00:00Z", episode=2),
    ],
)
async def test_access_does_not_come_back_by(backend: Failing, send: Sender, event: dict[str, Any]) -> None:
    await send(crossed(100))
    await send(crossed(120))

    assert await send(event) == 204

    assert ACME in backend


async def test_an_alarm_of_a_period_that_is_over_cuts_no_one_off(backend: Failing, send: Sender) -> None:
    await send(reset(CLOCK, DECEMBER))

    assert await send(crossed(100)) == 204

    assert ACME not in backend


async def test_a_start_finer_than_a_microsecond_is_no_end(backend: Failing, send: Sender) -> None:
    """The event repeats the record's text; its own timestamp is truncated."""
    fine = DECEMBER | {"from": "2026-12-01T00:00:00.123456789Z"}
    await send(reset("2026-12-01T00:00:00.123456Z", fine))

    await send(crossed(100, at="2026-12-02T00:00:00Z", period=fine))

    assert ACME in backend


async def test_the_next_episode_cuts_off_though_the_last_comes_later(backend: Failing, send: Sender) -> None:
    await send(crossed(100, episode=2, at="2026-11-20T12:00:00Z"))

    await send(crossed(100, "recovered", at="2026-11-20T11:00:00Z"))

    assert ACME in backend


@pytest.mark.parametrize(
    ("event", "is_cut_off"),
    [
        (crossed("99.99999999999999999999"), False),
        (crossed(100, kind="PERCENT"), True),
        (crossed(0, kind="balance_value"), True),
        (crossed(1, kind="balance_value"), False),
        (crossed(1000, kind="usage_value"), False),
        (crossed(80, also=(100,)), True),  # emit: highest
        (crossed(100, feature={"key": "storage"}), False),
        ({"type": "invoice.created", "timestamp": CLOCK, "data": {}}, False),
    ],
)
async def test_which_events_cut_off(event: dict[str, Any], is_cut_off: bool) -> None:
    backend = Failing()
    send = Sender(Enforcer(backend, [SECRET], policy=Policy(features=frozenset({"llm_tokens"}))))

    assert await send(event) == 204

    assert (ACME in backend) is is_cut_off


@pytest.mark.parametrize(
    ("data", "customer"),
    [
        ({}, "acme"),
        ({"customer": {"id": "c-1", "key": ""}}, "acme-prod"),
        ({"customer": {"id": "c-1"}, "subject": None}, "c-1"),
        ({"customer": None, "subject": None}, "ent-1"),
    ],
)
async def test_what_a_backend_calls_the_customer(
    backend: Failing, send: Sender, data: dict[str, Any], customer: str
) -> None:
    await send(crossed(100, **data))

    assert Place(customer, "llm_tokens") in backend


async def test_one_used_up_entitlement_of_two_cuts_off(backend: Failing, send: Sender) -> None:
    await send(crossed(100))
    await send(crossed(100, entitlement="ent-2"))

    await send(reset(CLOCK, DECEMBER))
    assert ACME in backend

    await send(reset(CLOCK, DECEMBER, entitlement="ent-2"))
    assert ACME not in backend


async def test_a_customer_whose_key_has_changed_since_gets_access_back(backend: Failing, send: Sender) -> None:
    await send(crossed(100))

    await send(crossed(100, "recovered", at="2026-11-20T11:00:00Z", customer={"key": "acme-gmbh"}))

    assert ACME not in backend


async def test_a_repeated_webhook_is_answered_and_not_acted_upon(backend: Failing, send: Sender) -> None:
    assert [await send(crossed(100), "e-1"), await send(crossed(100), "e-1")] == [204, 204]

    assert backend.calls == [("cut_off", ACME)]


@pytest.mark.parametrize(("before", "after"), [(1, 0), (0, 1)])
async def test_a_backend_that_fails_is_answered_503_and_asked_again(before: int, after: int) -> None:
    backend = Failing(before=before, after=after)
    send = Sender(Enforcer(backend, [SECRET]))

    assert [await send(crossed(100), "e-1"), await send(crossed(100), "e-1")] == [503, 204]

    assert backend.calls == [("cut_off", ACME)] * 2
    assert ACME in backend


async def test_a_late_failed_webhook_follows_the_newer_one() -> None:
    backend = Failing(before=1)
    send = Sender(Enforcer(backend, [SECRET]))

    assert await send(crossed(100), "e-1") == 503
    assert await send(reset(CLOCK, DECEMBER), "e-2") == 204
    assert await send(crossed(100), "e-1") == 204

    assert ACME not in backend


async def test_each_secret_of_a_rotation_is_taken_and_no_other() -> None:
    backend = Failing()
    enforcer = Enforcer(backend, [OTHER, SECRET])
    strange = "whsec_" + base64.b64encode(b"of another channel altogether").decode()
    answers = []
    for n, secret in enumerate((OTHER, SECRET, strange)):
        sent = signed(crossed(100), f"e-{n}", secret=secret)
        answers.append(await enforcer.receive(sent.headers, sent.body))

    assert answers == [204, 204, 401]


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "e-2"},
        {"webhook-id": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1a,ü"},
        {"webhook-signature": "v1,\udcff"},  # bytes that are not UTF-8, as aiohttp reads them
        {"webhook-id": "e-1\udcff"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "²"},
    ],
)
async def test_what_is_not_signed_is_refused(backend: Failing, changed: dict[str, str]) -> None:
    sent = signed(crossed(100), "e-1")

    assert await Enforcer(backend, [SECRET]).receive(sent.headers | changed, sent.body) == 401

    assert backend.calls == []


async def test_a_changed_body_or_an_old_copy_is_refused(backend: Failing) -> None:
    """Headers may have any case."""
    sent = signed(crossed(100), "e-1")
    times = [clock.now().timestamp() + offset for offset in (-290, 290, -310, 310)]

    assert await Enforcer(backend, [SECRET]).receive(sent.headers, sent.body + b" ") == 401
    upper = {name.upper(): value for name, value in sent.headers.items()}
    answers = [await Enforcer(backend, [SECRET], now=lambda at=at: at).receive(upper, sent.body) for at in times]
    assert answers == [204, 204, 401, 401]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "entitlements.reset"},
        crossed(100, feature=None),
        crossed(100, customer="acme"),
        crossed("many"),
        crossed(100, at="2026-11-20T10:00:00"),  # no offset
        crossed(100, period={"from": "soon"}),
        crossed(100, period={"from": "0001-01-01T00:00:00+14:00"}),
    ],
)
async def test_what_is_signed_and_not_as_documented_is_answered_400(send: Sender, event: dict[str, Any]) -> None:
    assert await send(event) == 400


@pytest.mark.parametrize("secrets", [[], ["whsec_"], ["whsec_ü"], ["whsec_a"]])
def test_a_secret_that_is_none_is_refused_at_the_start(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="signing secret"):
        Enforcer(Failing(), secrets)


def fired(percent: int = 100, **more: Any) -> dict[str, Any]:
    """An item of `GET /rules/{id}/state`."""
    return {
        "eventId": "e-9",
        "threshold": {"type": "usage_percentage", "value": percent},
        "entitlementId": "ent-1",
        "period": NOVEMBER,
        "episode": 1,
        "at": "2026-11-20T10:00:00Z",
        "level": percent,
        "feature": {"id": "f-1", "key": "llm_tokens"},
        "customer": {"key": "acme"},
        **more,
    }


async def converge(enforcer: Enforcer, *items: dict[str, Any]) -> None:
    async def read(policy: Policy) -> Iterable[Reported]:
        return [one for item in items if (one := access.read_state("rule-1", item, policy))]

    await enforcer.converge(read)


@pytest.mark.parametrize(
    ("items", "is_cut_off"),
    [
        ([fired()], True),
        ([fired(80)], False),
        ([fired(isReached=True)], True),
        ([fired(isReached=False)], False),
        ([fired(isReached=False), fired(120, isReached=True)], True),
        ([fired(feature={"key": "storage"})], False),
        ([], False),
    ],
)
async def test_the_state_says_who_is_cut_off(backend: Failing, items: list[dict[str, Any]], is_cut_off: bool) -> None:
    enforcer = Enforcer(backend, [SECRET], policy=Policy(features=frozenset({"llm_tokens"})))
    await backend.cut_off(Place("hooli", "llm_tokens"), None)  # left by an earlier life, and over since

    await converge(enforcer, *items)

    assert (ACME in backend) is is_cut_off
    assert Place("hooli", "llm_tokens") not in backend
    assert enforcer.is_known


async def test_webhooks_go_on_from_the_state(backend: Failing, send: Sender) -> None:
    await converge(send.enforcer, fired())

    await send(crossed(100, "recovered", at="2026-11-20T11:00:00Z"))

    assert ACME not in backend


async def test_what_was_missed_is_made_good_by_the_state(backend: Failing, send: Sender) -> None:
    await send(crossed(100))

    await converge(send.enforcer)  # its reset never came
    assert ACME not in backend

    await send(crossed(100, episode=2, at="2026-11-20T12:00:00Z"))
    assert ACME in backend


async def test_an_old_alarm_cuts_no_one_off_after_the_state_was_read(backend: Failing, send: Sender) -> None:
    await send(reset(CLOCK, DECEMBER))
    await converge(send.enforcer)

    await send(crossed(100))

    assert ACME not in backend


async def test_a_webhook_that_comes_while_the_state_is_read_is_newer(backend: Failing, send: Sender) -> None:
    async def read(policy: Policy) -> Iterable[Reported]:
        state = access.read_state("rule-1", fired(), policy)
        assert state
        await send(reset(CLOCK, DECEMBER))
        await send(crossed(100, entitlement="ent-2", customer={"key": "globex"}))
        return [state]

    await send.enforcer.converge(read)

    assert ACME not in backend
    assert Place("globex", "llm_tokens") in backend


async def test_a_state_that_is_not_known_changes_nothing(backend: Failing, send: Sender) -> None:
    async def read(_: Policy) -> Iterable[Reported]:
        raise StateUnknown("Tollbell answered 503")

    await send(crossed(100))

    with pytest.raises(StateUnknown):
        await send.enforcer.converge(read)

    assert ACME in backend
    assert not send.enforcer.is_known


async def test_what_no_webhook_can_be_older_than_is_forgotten(backend: Failing) -> None:
    now = clock.now().timestamp()
    times = iter([now, now, now + 5 * 86_400])
    enforcer = Enforcer(backend, [SECRET], now=lambda: next(times))
    sent = signed(reset(CLOCK, DECEMBER), "e-1")
    assert await enforcer.receive(sent.headers, sent.body) == 204

    await converge(enforcer)

    assert json.dumps(list(enforcer.cut_off())) == "[]"
    assert enforcer.known == 0


def test_the_folder_works_wherever_it_is_copied(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy/enforcement", tmp_path / "enforcement")
    modules = sorted(path.stem for path in (tmp_path / "enforcement").glob("[a-z]*.py"))
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"sys.modules.update(dict.fromkeys(['consumer', 'schemas', 'deploy']))\n"
        f"import importlib\nfor one in {modules!r}: importlib.import_module('enforcement.' + one)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "handler" in modules
