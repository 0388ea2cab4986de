"""What a channel of each format sends through the whole service, and what becomes of its target's answers."""

import dataclasses
import functools
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import aiohttp.web
import standardwebhooks

from tests.conftest import MakeDeployment, Produce
from tests.integration.store.test_secrets import everything, found
from tests.support.api import Api, channel, rule, talking
from tests.support.factories import native_record
from tests.support.fakes import Received, Receiver, Reply
from tests.support.targets import TARGETS
from tests.support.verification import SECRET

KEY = "R0ut1ngKey0fPagerDutyInTheTests0"
SECRET_PATH = "T0000/B0000/s3cret-path-of-a-url"


def judged(kind: str, receiver: Receiver) -> None:
    """Have the path of *kind* answer as the real target does."""

    def answer(request: Received) -> Reply:
        found = TARGETS[kind](request.body)
        return aiohttp.web.Response(status=found.status, text=found.answer)

    receiver.otherwise(answer, path=f"/{kind}/{SECRET_PATH}")


def is_what_was_sent(preview: dict[str, Any], request: Received) -> None:
    first, transport = preview["items"][0], {"host", "accept", "accept-encoding", "content-length"}
    assert {one.lower() for one in request.headers} - transport | {"x-own"} == {one.lower() for one in first["headers"]}
    assert first["headers"]["X-Own"] == "***"
    shown, sent = (json.loads(body)["blocks"] for body in (first["body"], request.body))
    assert [block["type"] for block in shown] == [block["type"] for block in sent]
    assert first["bytes"] == len(first["body"].encode())
    assert preview["url"].endswith("/***")
    assert len(preview["items"]) == 4


async def test_each_target_accepts_its_format_and_no_secret_is_kept(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    for kind in TARGETS:
        judged(kind, receiver)
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        made = {}
        for kind in TARGETS:
            more = {"secrets": {"routing_key": KEY}, "secretUrl": True} if kind == "pagerduty" else {}
            hook = channel(receiver.url(f"/{kind}/{SECRET_PATH}"), name=kind, format=kind, signingSecret=SECRET, **more)
            status, made[kind] = await api("POST", "/channels", hook)
            assert status == 201, made[kind]
        await api("POST", "/rules", rule(*(one["id"] for one in made.values())))
        await replica.logged("catalog.loaded", rules=1)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        attempts = await replica.logged("delivery.attempted", len(TARGETS))
        again = channel(receiver.url(f"/slack/{SECRET_PATH}"), format="slack", customHeaders={"X-Own": "hush"})
        _, preview = await api("POST", "/channels/preview", again)
        _, tested = await api("POST", f"/channels/{made['slack']['id']}/test")
        await replica.logged("delivery.attempted", event_id=tested["id"])
        answers = [await api("GET", path) for path in ("/channels", "/events")]

    assert {line["verdict"] for line in attempts} == {"Delivered"}
    sent = {kind: receiver.at(f"/{kind}/{SECRET_PATH}") for kind in TARGETS}
    assert [len(requests) for requests in sent.values()] == [2, 1, 1, 1]
    for kind, (request, *_) in sent.items():
        standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
        assert TARGETS[kind](request.body).interpreted == []
    assert json.loads(sent["pagerduty"][0].body)["routing_key"] == KEY
    assert [request.query for request in sent["discord"]] == ["wait=true"]
    assert "test" in json.loads(sent["slack"][1].body)["text"].lower()
    is_what_was_sent(preview, sent["slack"][1])
    assert made["slack"]["url"] == f"http://127.0.0.1:{receiver.port}/***"
    said = "".join([str(replica.lines), str(answers)]).encode()
    assert found([KEY, SECRET_PATH], said) == []
    dump = await everything(deployment.environment["TOLLBELL_DATABASE_URL"])
    assert [table for table, rows in dump.items() if found([KEY, SECRET_PATH], rows)] == []
    assert dump["rendered"].count(b"\n"), "bodies are kept, without the secrets"


async def test_what_does_not_fit_its_format_is_said_at_its_field(shared_api: Api) -> None:
    hook = channel("https://example.com/v2/enqueue", format="pagerduty", secrets={"routing_key": "hush-hush"})

    status, problem = await shared_api("POST", "/channels", hook)

    assert status == 400
    assert problem["detail"].startswith("secrets.routing_key: has 9 characters")
    assert "hush" not in str(problem)


async def test_what_is_odd_about_a_channel_is_said_where_it_is_written(shared_api: Api) -> None:
    hook = channel("https://example.com/v2/enqueue", format="pagerduty", secrets={"routing_key": KEY})
    expected = [
        {"field": "url", "problem": "is not PagerDuty's own host: what stands there must answer as PagerDuty does"}
    ]

    _, made = await shared_api("POST", "/channels", hook)
    _, changed = await shared_api("PUT", f"/channels/{made['id']}", made)
    _, read = await shared_api("GET", f"/channels/{made['id']}")
    _, preview = await shared_api("POST", "/channels/preview", hook)

    assert made["warnings"] == changed["warnings"] == preview["warnings"] == expected
    assert "warnings" not in read


@dataclasses.dataclass(frozen=True)
class Case:
    """An answer of a target, and what it means."""

    kind: str
    status: int
    answer: str
    verdict: str


DEEP = '{"a":' + "[" * 4000  # deeper than a parser goes

CASES = (
    Case("slack", 200, "no_text", "RetryIn"),
    Case("slack", 200, DEEP, "RetryIn"),
    Case("slack", 400, "invalid_blocks", "GiveUp"),
    Case("slack", 404, "no_service", "Disable"),
    Case("slack", 500, "rollup_error", "RetryIn"),
    Case("teams", 200, "Microsoft Teams endpoint returned HTTP error 413", "GiveUp"),
    Case("discord", 404, '{"code": 10015}', "Disable"),
    Case("discord", 429, '{"retry_after": 7.5}', "RetryIn"),
    Case("discord", 429, DEEP, "RetryIn"),
    Case("pagerduty", 400, "invalid", "GiveUp"),
    Case("openmeter", 422, "no", "GiveUp"),
    Case("openmeter", 400, "no", "RetryIn"),
)


async def test_an_answer_means_what_its_target_means_by_it(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        made = {}
        for n, case in enumerate(CASES):
            reply = functools.partial(aiohttp.web.Response, status=case.status, text=case.answer)
            receiver.otherwise(lambda _, reply=reply: reply(), path=f"/{n}")
            more = {"secrets": {"routing_key": KEY}} if case.kind == "pagerduty" else {}
            more |= {"permanentStatuses": [422]} if case.kind == "openmeter" else {}
            hook = channel(receiver.url(f"/{n}"), format=case.kind, key=f"hook-{n}", **more)
            _, made[case] = await api("POST", "/channels", hook)
        await api("POST", "/rules", rule(*(one["id"] for one in made.values())))
        await replica.logged("catalog.loaded", rules=1)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        lines = {
            case: (await replica.logged("delivery.attempted", channel_id=one["id"]))[0] for case, one in made.items()
        }
        _, page = await api("GET", "/events")
        disabled = {case: (await api("GET", f"/channels/{one['id']}"))[1]["disabled"] for case, one in made.items()}

    assert {case: line["verdict"] for case, line in lines.items()} == {case: case.verdict for case in CASES}
    assert disabled == {case: case.verdict == "Disable" for case in CASES}
    assert all(line["level"] == "warning" for case, line in lines.items() if case.verdict in {"GiveUp", "Disable"})
    (event,) = page["items"]
    newest = [one["attempts"][0]["state"] for one in event["deliveryStatus"]]
    assert newest == ["FAILED"] * len(CASES), "a 200 that its target does not mean is none"
    asked = next(line for case, line in lines.items() if (case.kind, case.status) == ("discord", 429))
    assert asked["retry_in_s"] >= 7.5


MAIL = {
    "To": "{{ data.customer.key }}@example.com",
    "Subject": "{{ message.title }}",
    "Usage": "{{ data.value.usage }}",
    "Token": "{{ secrets.token }}",
}


async def test_a_template_round_ends_with_the_template_it_began_with(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    """It is sent with every digit and with its secret."""
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,100ms,1s")
    receiver.answer(500, path="/mail")
    release = receiver.hold(path="/mail", reply=500)
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        mail = channel(receiver.url("/mail"), format="template", template=MAIL, secrets={"token": 'hu"sh-hush'})
        _, made = await api("POST", "/channels", mail)
        form = {"to": "{{ data.customer.key }}@example.com", "text": "{{ message.text }}"}
        _, posted = await api(
            "POST", "/channels", channel(receiver.url("/f"), format="template", template=form, contentType="form")
        )
        await api("POST", "/rules", rule(made["id"], posted["id"]))
        await replica.logged("catalog.loaded", rules=1)
        usage = "90.000000000000000000000000000001"
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(Decimal(usage)))
        await receiver.wait_for(2, path="/mail")
        status, edited = await api("PUT", f"/channels/{made['id']}", mail | {"template": {"other": "{{ id }}"}})
        release.set()
        await replica.logged("delivery.attempted", channel_id=made["id"], verdict="Delivered")
        await replica.logged("delivery.attempted", channel_id=posted["id"], verdict="Delivered")
        _, tested = await api("POST", f"/channels/{made['id']}/test")
        await replica.logged("delivery.attempted", event_id=tested["id"])

    first, second, third, test = receiver.at("/mail")
    assert (status, edited["template"]) == (200, {"other": "{{ id }}"})
    assert first.body == second.body == third.body
    assert f'"Usage":{usage}'.encode() in first.body
    assert json.loads(first.body)["Token"] == 'hu"sh-hush'
    assert json.loads(test.body) == {"other": tested["id"]}
    (form_request,) = receiver.at("/f")
    assert form_request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(form_request.body.decode())["to"] == ["acme@example.com"]
    dump = await everything(deployment.environment["TOLLBELL_DATABASE_URL"])
    assert [table for table, rows in dump.items() if b"sh-hush" in rows] == []


async def test_a_template_that_cannot_work_is_refused_at_its_place(shared_api: Api) -> None:
    hook = channel("https://example.com/", format="template", template={"a": [{"b": "{{ data.nothing | foo }}"}]})

    status, problem = await shared_api("POST", "/channels", hook)

    assert (status, problem["detail"].partition(":")[0]) == (400, "template.a[0].b")
    assert "unknown filter 'foo'" in problem["detail"]


async def test_an_event_that_lacks_a_templates_field_fails_loudly(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        hook = channel(receiver.url("/x"), format="template", template={"to": "{{ data.customer.email }}"})
        status, problem = await api("POST", "/channels", hook)
        hook["template"] = {"to": "{{ data.customer.name }}"}
        _, made = await api("POST", "/channels", hook)
        await api("POST", "/rules", rule(made["id"]))
        await replica.logged("catalog.loaded", rules=1)
        nameless = native_record(90, customer={"id": "c-1", "key": "acme"})
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], nameless)
        (line,) = await replica.logged("delivery.attempted", outcome="rendering")

    assert (status, "this event has no data.customer.email" in problem["detail"]) == (400, True)
    assert (line["level"], line["verdict"]) == ("warning", "GiveUp")
    assert "template.to: this event has no data.customer.name" in line["detail"]
    assert receiver.requests == []


async def test_a_secret_that_a_target_repeats_is_masked_everywhere(deploy: MakeDeployment, receiver: Receiver) -> None:
    """A secret with quotes and accents, which its body escapes; a secret path that is shorter than many words."""
    secret, path = 'clé-"seçrète"', "/k3y9z7"

    def echo(request: Received) -> Reply:
        said = f"no {path} for {request.body.decode()}"
        return aiohttp.web.json_response({"error": said, "raw": json.loads(request.body)}, status=422)

    receiver.otherwise(echo, path=path)
    deployment = await deploy()
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        tree = {"token": "{{ secrets.token }}", "name": "{{ '{{ secrets.token }}' }}"}
        more = {"template": tree, "secrets": {"token": secret}, "permanentStatuses": [422], "secretUrl": True}
        _, made = await api("POST", "/channels", channel(receiver.url(path), format="template", **more))
        _, tested = await api("POST", f"/channels/{made['id']}/test")
        (line,) = await replica.logged("delivery.attempted", event_id=tested["id"])
        _, event = await api("GET", f"/events/{tested['id']}")

    (sent,) = receiver.requests
    assert json.loads(sent.body) == {"token": secret, "name": "{{ secrets.token }}"}
    kept = event["deliveryStatus"][0]["attempts"][0]["response"]["body"]
    assert [kept.count("***"), line["answer"].count("***")] == [3, 3]
    said = "".join([str(replica.lines), json.dumps(event, default=str, ensure_ascii=False)])
    assert [one for one in ("seçrète", "se\\u00e7r", "k3y9z7") if one in said] == []
    dump = await everything(deployment.environment["TOLLBELL_DATABASE_URL"])
    assert [table for table, rows in dump.items() if "seçr".encode() in rows or b"k3y9z7" in rows] == []
