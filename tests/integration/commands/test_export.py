"""`tollbell export`: what it prints changes nothing when it is applied, wherever channels and rules came from."""

import yaml

from tests.conftest import MakeDeployment
from tests.support.api import channel, rule, talking
from tests.support.factories import rules_yaml
from tests.support.verification import SECRET

URL = "https://example.com/hook"


async def test_applying_an_export_changes_nothing_and_shows_no_secret(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, "99.99999999999999999999", 80), HOOK_SECRET=SECRET)

    exported = await deployment.tollbell("export")
    again = await deployment.apply(exported.out)

    assert (exported.status, exported.err) == (0, "")
    assert SECRET not in exported.out
    assert "hush" not in exported.out
    assert "value: 99.99999999999999999999" in exported.out
    assert again.out == "= channel hook\n= rule quota\n"


async def test_export_names_what_has_no_key_by_its_id(deploy: MakeDeployment) -> None:
    """Applied, the id becomes the key, and finds what the API made."""
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        _, hook = await api("POST", "/channels", channel(customHeaders={"X-Team": "hush"}))
        _, quota = await api("POST", "/rules", rule(hook["id"]))

        exported = await deployment.tollbell("export")
        untouched = await deployment.apply("namespace: default\n", "--prune")
        first = await deployment.apply(exported.out, "--prune")
        second = await deployment.apply(exported.out, "--prune")

        assert untouched.out == ""
        channel_key, rule_key = (f'    key: null -> "{one["id"]}"\n' for one in (hook, quota))
        assert first.out == f"~ channel {hook['id']}\n{channel_key}~ rule {quota['id']}\n{rule_key}"
        assert second.out == f"= channel {hook['id']}\n= rule {quota['id']}\n"
        _, now = await api("GET", f"/channels/{hook['id']}")
        assert (now["key"], now["customHeaders"]) == (hook["id"], {"X-Team": "***"})


async def test_a_mask_keeps_a_stored_value_and_needs_one(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    text = rules_yaml(URL, 80).replace("hush-hush", '"***"')

    refused = await deployment.apply(text, HOOK_SECRET=SECRET)
    nothing = await deployment.tollbell("export")
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    kept = await deployment.apply(text, HOOK_SECRET="***")

    problem = "channels[0].customHeaders.X-Webhook-Secret: is ***, which keeps a stored value: there is none"
    assert (refused.status, refused.err) == (2, f"tollbell: rules.yaml, line 7: {problem}\n")
    assert yaml.safe_load(nothing.out) == {"namespace": "default", "channels": [], "rules": []}
    assert kept.out == "= channel hook\n= rule quota\n"


async def test_a_namespace_is_exported_alone_and_a_lost_key_is_said(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80).replace("namespace: default", "namespace: acme"), HOOK_SECRET=SECRET)
    key = (await deployment.tollbell("keygen")).out.strip()

    default = await deployment.tollbell("export")
    acme = await deployment.tollbell("export", "--namespace", "acme")
    lost = await deployment.tollbell("export", "--namespace", "acme", TOLLBELL_ENCRYPTION_KEYS=key)

    empty = await deployment.tollbell("export", "--namespace", "")

    assert (empty.status, empty.err.count("\n")) == (2, 1)
    assert yaml.safe_load(default.out)["rules"] == []
    assert yaml.safe_load(acme.out)["rules"][0]["key"] == "quota"
    assert (lost.status, lost.out, lost.err.count("\n")) == (1, "", 1)
    assert "channel hook: its headers or secrets cannot be opened" in lost.err
