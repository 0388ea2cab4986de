"""`tollbell apply`: plan and change are one; found again by key; errors name the line; a made secret is shown once."""

import asyncio
import re

from tests.conftest import MakeDeployment
from tests.factories import rules_yaml
from tests.one_rule import scalar
from tests.verification import SECRET

URL = "https://internal.example.com/hooks/tollbell"


async def test_applying_twice_changes_nothing(deploy: MakeDeployment, migrated: str) -> None:
    deployment = await deploy()

    planned = await deployment.apply(rules_yaml(URL, 80), "--dry-run", HOOK_SECRET=SECRET)
    first = await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    revision = await scalar(migrated, "SELECT revision FROM catalog")
    second = await deployment.apply(rules_yaml(URL, "80.0"), HOOK_SECRET=SECRET)

    assert planned.out == "+ channel hook\n+ rule quota\nnothing was changed (--dry-run)\n"
    assert first.out == "+ channel hook\n+ rule quota\n"
    assert second.out == "= channel hook\n= rule quota\n"
    assert await scalar(migrated, "SELECT revision FROM catalog") == revision == 2  # the replicas have nothing to load


async def test_a_secret_left_out_is_made_printed_once_and_kept(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    text = re.sub(r"    signingSecret: .*\n", "", rules_yaml(URL, 80))

    planned = await deployment.apply(text, "--dry-run")
    first = await deployment.apply(text)
    second = await deployment.apply(text)

    assert "whsec_" not in planned.out
    assert len(re.findall(r"whsec_[A-Za-z0-9+/]{43}=", first.out)) == 1
    assert second.out == "= channel hook\n= rule quota\n"


async def test_the_plan_names_what_changes_and_no_secret(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    edited = rules_yaml(URL, 80, 100).replace("hush-hush", "changed-one").replace("Quota reached", "Quota")

    done = await deployment.apply(edited, HOOK_SECRET="whsec_" + "A" * 43 + "=")

    assert done.out == "~ channel hook: headers, signing_secret\n~ rule quota: name, spec\n"
    assert "changed-one" not in done.out + done.err


async def test_what_the_file_no_longer_has_goes_with_prune_only(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    kept = await deployment.apply("namespace: default\n")
    gone = await deployment.apply("namespace: default\n", "--prune")
    back = await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    assert kept.out == ""
    assert gone.out == "- rule quota\n- channel hook\n"
    assert back.out == "+ channel hook\n+ rule quota\n"


async def test_an_error_names_the_line_the_field_and_what_is_allowed_and_nothing_is_applied(
    deploy: MakeDeployment,
) -> None:
    deployment = await deploy()
    good = rules_yaml(URL, 80)
    # (what is wrong, what the line says)
    cases = [
        (
            good.replace("value: 80", "value: -1"),
            r"rules.yaml, line 15: rules\[0\].thresholds\[0\].value: must be above 0",
        ),
        (
            good.replace("usage_percentage", "percentage"),
            r"line 15: .*thresholds\[0\].type: must be 'usage_percen",
        ),
        (good.replace("features:", "feature:"), r"line 14: rules\[0\].feature: there is no such field"),
        (good.replace("channels: [hook]", "channels: [hok]"), r"line 13: .*no channel of this file has the key 'hok'"),
        (good.replace("https:", "ftp:"), r"line 6: channels\[0\].url: .*http"),
        (good.replace("hush-hush", '"tiger\\r\\nX-Evil: 1"'), r"line 7: channels\[0\].customHeaders: "),
        (good.replace("X-Webhook-Secret", "Content-Length"), r"line 7: channels\[0\].customHeaders: "),
        (good.replace("${HOOK_SECRET}", "tiger"), r"line 8: channels\[0\].signingSecret: "),
        (good.replace("${HOOK_SECRET}", "${NO_SUCH}"), r"line 8: \$\{NO_SUCH\}: the environment has no NO_SUCH"),
        (good + "  - [", r"line \d+: is no YAML"),
        (good.replace("name: Hook", "name: Hook\n    name: Twice"), r"line 6: name stands twice"),
    ]

    answers = await asyncio.gather(*(deployment.apply(text, HOOK_SECRET=SECRET) for text, _ in cases))

    for (_, says), refused in zip(cases, answers, strict=True):
        assert (refused.status, refused.err.count("\n")) == (2, 1), refused.err
        assert re.search(says, refused.err), refused.err
        assert "tiger" not in refused.err
        assert SECRET not in refused.err
    assert (await deployment.apply(good, HOOK_SECRET=SECRET)).out == "+ channel hook\n+ rule quota\n"
