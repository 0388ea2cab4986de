"""Channels that can't work: each one clear error where it was written, by the API, a rules file and the console."""

import json
from typing import Any

import pytest

from tests.conftest import MakeDeployment, Shared
from tests.support.api import Api, channel, talking
from tests.support.console import browsing

SLACK = "https://hooks.slack.com/services/T0/B0/hush-hush"
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"


def template(tree: object, **more: object) -> dict[str, object]:
    return {"format": "template", "template": tree, **more}


# What is written, the field at fault, and what is said of it.
BAD: list[tuple[dict[str, Any], str, str]] = [
    (template("{{ id }}"), "template", "is not a tree: write an object or a list"),
    (template({"a": [{"b": "{{ type|nonsense }}"}]}), "template.a[0].b", "unknown filter 'nonsense'"),
    (template(["{{ id"]), "template[0]", ""),
    (template(["{% for x in data %}{% endfor %}"]), "template[0]", "for"),
    (template(["{{ ['a' * 900] * 90000 }}"]), "template[0]", "a list is not multiplied"),
    (template(["{{ 'a' * 2000000 }}"]), "template[0]", "out of fuel"),
    (template({"a": ["{{ data }}"] * 200}), "template.a", "the body has more than 256 KiB"),
    (template({"a": "{{ data.nothing }}"}), "template.a", "this event has no data.nothing"),
    (template({"a": "{{ secrets.key }}"}), "secrets.key", "is missing: the template needs it"),
    (template({"a": {"b": "c"}}, contentType="form"), "template.a", "a form has flat values only"),
    (template({"a": "b"}, url="ftp://example.com/"), "url", "has a scheme that is not http or https"),
    ({"format": "template"}, "template", "is missing"),
    ({"format": "flat", "template": {}}, "template", "belongs to the format template alone"),
    ({"format": "flat", "contentType": "form"}, "contentType", "belongs to the format template alone"),
    ({"format": "flat", "contentMode": "binary"}, "contentMode", "belongs to the format cloudevents alone"),
    ({"format": "flat", "requestOrigin": "us.example"}, "requestOrigin", "belongs to the format cloudevents alone"),
    ({"format": "cloudevents", "requestOrigin": "https://us.example"}, "requestOrigin", "must be a DNS name"),
    ({"format": "slack"}, "url", "is not a webhook of Slack"),
    ({"format": "slack", "url": f"{SLACK}/more"}, "url", "is not a whole webhook of Slack"),
    ({"format": "teams", "url": "https://acme.webhook.office.com/hush-hush"}, "url", "which Microsoft has retired"),
    ({"format": "discord", "url": "https://discord.com/api/webhooks/1"}, "url", "is not a webhook of Discord"),
    ({"format": "pagerduty", "url": PAGERDUTY}, "secrets.routing_key", "is missing"),
    (
        {"format": "pagerduty", "url": PAGERDUTY, "secrets": {"routing_key": "hush-hush"}},
        "secrets.routing_key",
        "has 9 characters: an integration key is 32",
    ),
    ({"secrets": {"key": "hush"}}, "secrets.key", "must have 6 to 4096 characters"),
    ({"secretUrl": True, "url": "https://example.com/hush"}, "url", "too short for a secret"),
    ({"format": "opsgenie"}, "format", "'openmeter', 'flat'"),
]
IDS = [f"{n}-{place}" for n, (_, place, _) in enumerate(BAD)]


@pytest.mark.parametrize(("more", "place", "says"), BAD, ids=IDS)
async def test_the_api_says_it_at_its_field(shared_api: Api, more: dict[str, Any], place: str, says: str) -> None:
    for path in ("/channels", "/channels/preview"):
        status, problem = await shared_api("POST", path, channel(**more))

        faults = problem["extensions"]["invalidFields"]
        assert (status, [one["field"].partition("[")[0] for one in faults][:1]) == (400, [place.partition("[")[0]])
        assert faults[0]["field"].startswith(place)
        assert says in faults[0]["problem"]
        assert problem["detail"] == f"{faults[0]['field']}: {faults[0]['problem']}"
        assert "hush" not in json.dumps(problem)


async def test_apply_reports_every_bad_format_with_its_line(deploy: MakeDeployment) -> None:
    """Those that the file's own shape does not show already: these are said first, without a look at the database."""
    deployment = await deploy()
    shown_by_the_shape = {"requestOrigin", "format", "secrets.key"}
    bad = [one for one in BAD if one[1] not in shown_by_the_shape and not str(one[0].get("url", "")).startswith("ftp")]
    bad = [one for one in bad if one[0].get("requestOrigin", "us.example") == "us.example"]
    hooks = [{**channel(**more), "key": f"hook-{n}"} for n, (more, _, _) in enumerate(bad)]
    text = json.dumps({"channels": hooks, "rules": []}, indent=1)

    applied = await deployment.apply(text, "--dry-run")

    assert applied.status == 2
    lines = applied.err.splitlines()
    for n, (_, place, says) in enumerate(bad):
        assert any(f": channels[{n}].{place}" in line and "line " in line and says in line for line in lines), place
    assert "hush" not in applied.err


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"format": "slack"}, "url", "is not a webhook of Slack"),
        ({"format": "template", "template": '"{{ id }}"'}, "template", "is not a tree"),
        ({"format": "template", "template": '{"a": "{{ id|nonsense }}"}'}, "template", "unknown filter"),
        ({"format": "template", "template": '{"a": {}}', "contentType": "form"}, "template", "flat values only"),
        ({"format": "pagerduty", "url": PAGERDUTY, "secrets": "routing_key: x"}, "secrets", "must have 6 to 4096"),
        ({"format": "flat", "contentMode": "binary"}, "contentMode", "belongs to the format cloudevents"),
        ({"format": "cloudevents", "requestOrigin": "a b"}, "requestOrigin", "must be a DNS name"),
    ],
)
@pytest.mark.parametrize("act", ["save", "preview"])
async def test_the_console_says_it_beside_the_field(
    shared: Shared, form: dict[str, str], field: str, says: str, act: str
) -> None:
    namespace, token = next(shared.namespaces)
    hook = {"name": "Hook", "url": "https://example.com/hook", "act": act}
    async with (
        talking(shared.replica, token=token, namespace=namespace) as api,
        browsing(shared.replica, token=token) as browser,
    ):
        seen = await browser.post("/channels/new", hook | form)
        _, page = await api("GET", "/channels")

    assert (seen.status, page["totalCount"]) == (400, 0)
    assert len(seen.all("p", id=f"{field}-fault")) == 1
    assert says in seen.text
