"""Each recipe of deploy/recipes: applied as it is, from records to a receiver that judges as the real one does."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp.web
import pytest
import yaml
from aiohttp.test_utils import TestServer

from deploy.enforcement import receiver as handler
from deploy.enforcement.handler import Enforcer
from deploy.enforcement.middleware import Refusals
from tests.conftest import MakeDeployment, Produce
from tests.support import providers, targets
from tests.support.enforcement import ACME, SECRET
from tests.support.factories import invoice_record, native_record
from tests.support.fakes import Received, Receiver
from tests.support.service import Deployment, Replica
from tests.support.targets import Judged

RECIPES = Path(__file__).parents[3] / "deploy" / "recipes"
MAIL = {"customer": {"id": "c-1", "key": "acme", "name": "ACME Inc.", "primaryEmail": "jane@acme.example"}}
USAGE = (
    native_record(85, calculated_at="2026-11-22T10:00:00Z", **MAIL),
    native_record(100, calculated_at="2026-11-22T11:00:00Z", **MAIL),
    native_record(50, calculated_at="2026-11-22T12:00:00Z", **MAIL),
)
# Customers without an address, as records write it.
NO_MAIL = tuple(
    native_record(
        85,
        entitlement=f"ent-{key}",
        calculated_at="2026-11-22T10:00:00Z",
        customer={"id": f"c-{key}", "key": key, "name": key, **email},
    )
    for key, email in [("absent", {}), ("null", {"primaryEmail": None}), ("empty", {"primaryEmail": ""})]
)
INVOICES = tuple(
    invoice_record(status, previous, event_id=f"e-{status}", currency="EUR", total="1299.90")
    for status, previous in [("draft", None), ("issued", "draft"), ("paid", "issued"), ("paid", "issued")]
)
MAILS = [
    ["jane@acme.example", "You have used 80 % of llm_tokens", "you have used 85 of 100 llm_tokens."],
    ["jane@acme.example", "You have used 100 % of llm_tokens", "you have used 100 of 100 llm_tokens."],
]
FORWARDED = ["billing@example.com", "You have used 80 % of llm_tokens"]


def slack(_: Mapping[str, str], body: bytes) -> Judged:
    return targets.slack(body)


@dataclass(frozen=True)
class Recipe:
    """A file, what it is sent to, and what is shown there of each message: texts that it has, in order.

    Attributes:
        address: in the file, for which the test's receiver stands; or the variable that is to be it.
    """

    name: str
    judge: Callable[[Mapping[str, str], bytes], Judged]
    address: str
    shown: list[list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    records: tuple[bytes, ...] = USAGE


CASES = (
    Recipe("slack-sales", slack, "${SLACK_WEBHOOK}", [["ACME Inc.", "80 %"]]),
    Recipe(
        "erp-paid-invoice",
        providers.erp,
        "${ERP_URL}",
        [["INV-1", "1299.90", "issued"]],
        {"ERP_TOKEN": "token"},
        INVOICES,
    ),
    Recipe(
        "email-postmark", providers.postmark, "https://api.postmarkapp.com/email", MAILS, {"POSTMARK_TOKEN": "token"}
    ),
    Recipe(
        "email-sendgrid", providers.sendgrid, "https://api.sendgrid.com/v3/mail/send", MAILS, {"SENDGRID_KEY": "token"}
    ),
    Recipe(
        "email-mailgun",
        providers.mailgun,
        "https://api.mailgun.net/v3/mg.example.com/messages",
        MAILS,
        {"MAILGUN_AUTH": base64.b64encode(b"api:token").decode()},
    ),
    Recipe(
        "email-postmark",
        providers.postmark,
        "https://api.postmarkapp.com/email",
        [FORWARDED] * 3,
        {"POSTMARK_TOKEN": "token"},
        NO_MAIL,
    ),
    Recipe(
        "email-sendgrid",
        providers.sendgrid,
        "https://api.sendgrid.com/v3/mail/send",
        [FORWARDED] * 3,
        {"SENDGRID_KEY": "token"},
        NO_MAIL,
    ),
    Recipe(
        "email-mailgun",
        providers.mailgun,
        "https://api.mailgun.net/v3/mg.example.com/messages",
        [FORWARDED] * 3,
        {"MAILGUN_AUTH": base64.b64encode(b"api:token").decode()},
        NO_MAIL,
    ),
    Recipe(
        "ntfy",
        providers.ntfy,
        "${NTFY_URL}",
        [["ACME Inc.", "100 %", "priority 4"], ["ACME Inc.", "100 %", "priority 3"]],
        {"NTFY_TOKEN": "token"},
    ),
)


def text_of(name: str) -> str:
    return (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")


async def started(deployment: Deployment, text: str, environment: dict[str, str]) -> Replica:
    applied = await deployment.apply(text, **environment)
    assert applied.status == 0, applied.err
    return await deployment.replica()


def is_shown(wanted: list[str], judged: Judged) -> bool:
    shown = " ".join(" ".join(judged.shown).split())
    return all(text in shown for text in wanted)


@pytest.mark.parametrize("recipe", CASES, ids=lambda one: one.name)
async def test_a_recipe_brings_records_to_its_receiver(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver, recipe: Recipe
) -> None:
    judged: list[Judged] = []

    def answer(request: Received) -> aiohttp.web.Response:
        judged.append(recipe.judge(request.headers, request.body))
        return aiohttp.web.Response(status=judged[-1].status, text=judged[-1].answer)

    receiver.otherwise(answer)
    text = text_of(recipe.name)
    assert text.count(f"url: {recipe.address}\n") == 1
    deployment = await deploy()
    url = receiver.url("/a/path")
    async with await started(deployment, text.replace(recipe.address, url), recipe.environment) as replica:
        await replica.ready()
        for record in recipe.records:
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], record)
        await replica.logged("delivery.attempted", len(recipe.shown), verdict="Delivered")
        assert await replica.terminate() == 0

    assert len(judged) == len(recipe.shown), judged
    # In whatever order: no one promises one between events.
    for wanted in recipe.shown:
        assert sum(is_shown(wanted, one) for one in judged) == recipe.shown.count(wanted), judged
    assert [one.interpreted for one in judged] == [[]] * len(judged)


async def test_the_recipe_of_enforcement_cuts_off_and_gives_back(deploy: MakeDeployment, produce: Produce) -> None:
    deployment, refusals = await deploy(), Refusals()
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with TestServer(handler.application(Enforcer(refusals, [SECRET]))) as server:
        environment = {"ENFORCEMENT_URL": str(server.make_url("/hooks/tollbell")), "HOOK_SECRET": SECRET}
        async with await started(deployment, text_of("enforcement"), environment) as replica:
            await replica.ready()
            await produce(topic, *USAGE[:2])
            await replica.logged("delivery.attempted", verdict="Delivered")
            assert ACME in refusals

            await produce(topic, USAGE[2])
            await replica.logged("delivery.attempted", 2, verdict="Delivered")
            assert ACME not in refusals


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda one: one.stem)
def test_a_recipe_is_short_and_run_by_a_test(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    made: dict[str, Any] = yaml.safe_load(text)

    assert len(text.splitlines()) <= 40
    assert path.stem in {"enforcement", *(recipe.name for recipe in CASES)}
    assert len(made["rules"]) <= 2
