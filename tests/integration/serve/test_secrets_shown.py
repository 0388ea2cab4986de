"""Secret URLs and secrets of bodies are in no page of the console, answer of the API, export, log, metric or row."""

from typing import Any

import aiohttp.web

from tests.conftest import MakeDeployment, Produce
from tests.integration.deliver.test_formats_sent import KEY
from tests.integration.store.test_secrets import everything, found
from tests.support.api import Api, channel, rule, talking
from tests.support.console import Browser, browsing
from tests.support.factories import native_record
from tests.support.fakes import Received, Receiver, Reply

PATH = "s3cret/p4th-of-a-url"
SECRETS = [KEY, PATH, "p4th-of-a-url", "s3cret-of-a-body", "h3ader-of-a-channel"]


def hooks() -> list[dict[str, Any]]:
    """A channel of each kind that has something to hide."""
    headers = {"customHeaders": {"X-Own": SECRETS[4]}}
    template = {"token": "{{ secrets.token }}", "who": "{{ data.customer.name }}"}
    return [
        {"format": "slack"} | headers,
        {"format": "teams"},
        {"format": "discord"},
        {"format": "pagerduty", "secrets": {"routing_key": KEY}, "secretUrl": True},
        {"format": "template", "template": template, "secrets": {"token": SECRETS[3]}, "secretUrl": True},
        {"format": "cloudevents", "contentMode": "binary", "requestOrigin": "us.example", "secretUrl": True},
    ]


def echoed(request: Received) -> Reply:
    """An answer that consents, and repeats all that it can of what it was sent."""
    headers = {"WebHook-Allowed-Origin": "*"} if request.method == "OPTIONS" else {}
    text = f"{request.path}?{request.query} {dict(request.headers)} {request.body.decode()}"
    return aiohttp.web.Response(status=422, text=text, headers=headers)


async def shown_by_the_api(api: Api, made: list[dict[str, Any]], event: str) -> list[object]:
    paths = ["/channels?includeDeleted=true", "/rules", "/events", f"/events/{event}", "/jobs"]
    for one in made:
        paths += [f"/channels/{one['id']}", f"/channels/{one['id']}/deliveries"]
    return [await api("GET", path) for path in paths]


async def shown_by_the_console(browser: Browser, made: list[dict[str, Any]], rule_id: str, event: str) -> list[str]:
    paths = ["/", "/channels", "/rules", f"/rules/{rule_id}", f"/rules/{rule_id}/edit", "/events", f"/events/{event}"]
    for one in made:
        at = f"/channels/{one['id']}"
        paths += [at, f"{at}/edit", f"/events?channel={one['id']}"]
    seen = [await browser.get(path) for path in [*paths, "/jobs", "/explain"]]
    assert {one.status for one in seen} == {200}
    for one in made:  # a look at it, and a refusal, both with what the form had
        form = {"name": one["name"], "url": one["url"], "format": one["format"], "secretUrl": "true"}
        form |= {"secrets": "\n".join(f"{name}: ***" for name in one.get("secrets", {}))}
        seen.append(await browser.post(f"/channels/{one['id']}/edit", form | {"act": "preview"}))
        seen.append(await browser.post(f"/channels/{one['id']}/edit", form | {"concurrency": "many"}))
    return [one.html for one in seen]


async def test_what_is_secret_of_a_channel_is_shown_nowhere(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_RETRY_SCHEDULE="0s,1h")
    receiver.otherwise(echoed)
    async with await deployment.replica() as replica, talking(replica) as api, browsing(replica) as browser:
        await replica.ready()
        made = []
        for n, more in enumerate(hooks()):
            status, one = await api(
                "POST", "/channels", channel(receiver.url(f"/{n}/{PATH}"), name=f"hook-{n}", **more)
            )
            assert status == 201, one
            made.append({name: value for name, value in one.items() if name != "signingSecret"})
        _, ruled = await api("POST", "/rules", rule(*(one["id"] for one in made)))
        await replica.logged("catalog.loaded", rules=1)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90))
        (line, *_) = await replica.logged("delivery.attempted", len(made))
        answers = [str(made), str(await shown_by_the_api(api, made, line["event_id"]))]
        pages = await shown_by_the_console(browser, made, ruled["id"], line["event_id"])
        _, metrics = await replica.http("/metrics")
        exported = await deployment.tollbell("export")

    sent = "".join(f"{one.path} {dict(one.headers)} {one.body.decode()}" for one in receiver.requests)
    assert found(SECRETS, sent.encode()) == SECRETS, "they did go out, and came back"
    for said in (*answers, *pages, metrics, exported.out, exported.err, str(replica.lines)):
        assert found(SECRETS, said.encode()) == [], said[:300]
    dump = await everything(deployment.environment["TOLLBELL_DATABASE_URL"])
    assert {table: found(SECRETS, rows) for table, rows in dump.items() if found(SECRETS, rows)} == {}
    assert b"***" in dump["attempt"], "what the receiver repeated is kept, masked"
