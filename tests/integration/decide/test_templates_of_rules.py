"""A template is tried on samples of its channel's rules, whichever of the two is changed, by the API or `apply`."""

from typing import Any

import pytest

from consumer.commands import apply
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.errors import ConfigInvalid
from consumer.store import configuration
from schemas.rules_file import RulesFile
from tests.support.api import Api, channel, rule
from tests.support.stores import CIPHER, Store

OF_CROSSINGS = {"at": "{{ data.threshold.value }}"}
OF_INVOICES = {"was": "{{ data.previousStatus }}"}


def mail(tree: object) -> dict[str, Any]:
    return channel("https://example.com/mail", format="template", template=tree)


async def test_a_template_must_work_for_the_rules_of_its_channel(shared_api: Api) -> None:
    _, made = await shared_api("POST", "/channels", mail(OF_CROSSINGS))
    await shared_api("POST", "/rules", rule(made["id"]))

    status, problem = await shared_api("PUT", f"/channels/{made['id']}", mail(OF_INVOICES))

    assert (status, problem["detail"].partition(":")[0]) == (400, "template.was")
    assert "this event has no data.previousStatus" in problem["detail"]


async def test_a_rule_must_work_for_the_templates_of_its_channels(shared_api: Api) -> None:
    _, fits = await shared_api("POST", "/channels", mail(OF_CROSSINGS))
    _, misfit = await shared_api("POST", "/channels", mail(OF_INVOICES))
    _, made = await shared_api("POST", "/rules", rule(fits["id"]))

    answers = [
        await shared_api("POST", "/rules", rule(fits["id"], misfit["id"])),
        await shared_api("PUT", f"/rules/{made['id']}", rule(misfit["id"])),
    ]

    assert [(status, problem["extensions"]["invalidFields"][0]["field"]) for status, problem in answers] == [
        (400, "channels[1]"),
        (400, "channels[0]"),
    ]
    assert all("template.was: this event has no data.previousStatus" in problem["detail"] for _, problem in answers)


async def test_apply_tries_templates_for_rules_outside_the_file(stored: Store) -> None:
    await stored.configure({"hook": {"format": "template", "template": OF_CROSSINGS}})
    file = RulesFile.model_validate({"channels": [mail(OF_INVOICES) | {"key": "hook"}], "rules": []})

    with pytest.raises(ConfigInvalid, match=r"template\.was: this event has no data\.previousStatus"):
        async with configuration.edit(stored.database, CIPHER, "default") as edit:
            await apply.change(edit, merged([YamlFile("rules.yaml", file, "")]), prune=False)
