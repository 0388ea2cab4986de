"""`tollbell apply`: plan and change are one; found again by key; errors name the line; a made secret is shown once."""

import asyncio
import json
import re
from pathlib import Path

from tests.conftest import MakeDeployment
from tests.support.factories import rules_yaml
from tests.support.one_rule import scalar
from tests.support.verification import SECRET

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


async def test_a_secret_left_out_is_made_once_and_written_to_a_file(deploy: MakeDeployment, tmp_path: Path) -> None:
    deployment = await deploy()
    rules, secrets = tmp_path / "rules.yaml", tmp_path / "secrets.json"
    rules.write_text(re.sub(r"    signingSecret: .*\n", "", rules_yaml(URL, 80)))

    planned = await deployment.tollbell("apply", str(rules), "--dry-run")
    unseen = await deployment.tollbell("apply", str(rules))
    first = await deployment.tollbell("apply", str(rules), "--secrets-file", str(secrets))
    second = await deployment.tollbell("apply", str(rules), "--secrets-file", str(secrets))

    assert planned.out == "+ channel hook\n+ rule quota\nnothing was changed (--dry-run)\n"
    assert (unseen.status, unseen.out) == (2, "")
    assert unseen.err == (
        "tollbell: channel hook: has no signingSecret, and there is no terminal to show one that is made:"
        " give it in the file, or use --secrets-file\n"
    )
    assert first.out == "+ channel hook\n+ rule quota\n"
    assert re.fullmatch(r'\{\s+"hook": "whsec_[A-Za-z0-9+/]{43}="\s+\}\s', secrets.read_text())
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert second.out == "= channel hook\n= rule quota\n"


async def test_an_existing_secrets_file_is_kept_and_nothing_applied(
    deploy: MakeDeployment, tmp_path: Path, migrated: str
) -> None:
    deployment = await deploy()
    rules, secrets = tmp_path / "rules.yaml", tmp_path / "secrets.json"
    rules.write_text(re.sub(r"    signingSecret: .*\n", "", rules_yaml(URL, 80)))
    secrets.write_text("of another run")

    done = await deployment.tollbell("apply", str(rules), "--secrets-file", str(secrets))

    assert done.status == 2
    assert done.err == f"tollbell: --secrets-file {secrets}: cannot be made: File exists: name a new file\n"
    assert secrets.read_text() == "of another run"
    assert await scalar(migrated, "SELECT count(*) FROM channel") == 0


async def test_the_plan_shows_values_before_and_after_and_no_secret(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(f"{URL}/tiger-1", 80), HOOK_SECRET=SECRET)
    edited = (
        rules_yaml(f"{URL}/tiger-2", 80, 100).replace("hush-hush", "changed-one").replace("Quota reached", "Quota")
    ).replace("    name: Hook", "    name: Hook\n    rateLimit: 5")

    done = await deployment.apply(edited, HOOK_SECRET="whsec_" + "A" * 43 + "=")

    first, second = (f'{{"type":"usage_percentage","value":{value}}}' for value in (80, 100))
    assert done.out.splitlines() == [
        "~ channel hook",
        "    customHeaders.X-Webhook-Secret: changed",
        "    rateLimit: null -> 5.0",
        "    signingSecret: changed",
        "    url (path or query): changed",
        "~ rule quota",
        '    name: "Quota reached" -> "Quota"',
        f"    thresholds: [{first}] -> [{first},{second}]",
    ]
    assert not [secret for secret in ("changed-one", "tiger") if secret in done.out + done.err]


async def test_an_empty_file_prunes_nothing(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    done = await deployment.tollbell("apply", "-", "--prune", given="# of a template that was not rendered\n")
    kept = await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tollbell: --prune: the file is empty, so everything that has a key would be deleted")
    assert kept.out == "= channel hook\n= rule quota\n"


async def test_what_no_file_has_is_reported_and_goes_with_prune_only(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    kept = await deployment.apply("namespace: default\n")
    gone = await deployment.apply("namespace: default\n", "--prune")
    back = await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    stays = "is stored and not in the file: it stays; --prune deletes it"
    assert kept.out == f"! rule quota: {stays}\n! channel hook: {stays}\n"
    assert gone.out == "- rule quota\n- channel hook\n"
    assert back.out == "+ channel hook\n+ rule quota\n"


async def test_a_renamed_key_is_said_to_double_what_it_notifies(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)

    renamed = await deployment.apply(rules_yaml(URL, 80).replace("key: quota", "key: limit"), HOOK_SECRET=SECRET)

    assert renamed.out == (
        "= channel hook\n+ rule limit\n! rule quota: is stored and not in the file: it stays; --prune deletes it;"
        " rule limit says the same to the same channel, so each event would come twice\n"
    )


async def test_a_renamed_channel_is_shown_by_its_keys(deploy: MakeDeployment) -> None:
    """A second rule that says the same to the same URL is a warning."""
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    renamed = rules_yaml(URL, 80).replace("key: hook", "key: other").replace("[hook]", "[other]")

    moved = await deployment.apply(renamed, "--dry-run", HOOK_SECRET=SECRET)
    both = await deployment.apply(renamed.replace("key: quota", "key: limit"), "--dry-run", HOOK_SECRET=SECRET)

    assert '~ rule quota\n    channels: ["hook"] -> ["other"]\n' in moved.out
    assert "rule limit says the same to the same url, so each event would come twice\n" in both.out


async def test_several_files_a_folder_and_standard_input_are_one(deploy: MakeDeployment, tmp_path: Path) -> None:
    deployment = await deploy()
    both = rules_yaml(URL, 80, secret=SECRET)
    channels, rules = both.partition("rules:\n")[0], "rules:\n" + both.partition("rules:\n")[2]
    folder = tmp_path / "rules.d"
    folder.mkdir()
    (folder / "b.yml").write_text(rules)
    (folder / "a.yaml").write_text(channels)
    (folder / "notes.txt").write_text("not read")
    (tmp_path / "more.yaml").write_text(rules.replace("key: quota", "key: second"))

    one = await deployment.tollbell("apply", str(folder), str(tmp_path / "more.yaml"), "--prune")
    again = await deployment.tollbell("apply", str(tmp_path / "more.yaml"), str(folder), "--prune", "--dry-run")
    piped = await deployment.tollbell("apply", "-", given=both)
    empty = await deployment.tollbell("apply", str(tmp_path / "none"))
    twice = await deployment.tollbell("apply", "-", "-", given=both)

    assert one.out == "+ channel hook\n+ rule quota\n+ rule second\n"
    assert again.out == "= channel hook\n= rule second\n= rule quota\nnothing was changed (--dry-run)\n"
    assert piped.out.splitlines()[:2] == ["= channel hook", "= rule quota"]
    assert (empty.status, twice.status) == (2, 2)
    assert empty.err.endswith("none: cannot be read: No such file or directory\n")


async def test_exit_code_of_a_dry_run_says_whether_anything_changes(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    text = rules_yaml(URL, 80)

    new = await deployment.apply(text, "--dry-run", "--exit-code", HOOK_SECRET=SECRET)
    await deployment.apply(text, HOOK_SECRET=SECRET)
    same = await deployment.apply(text, "--dry-run", "--exit-code", HOOK_SECRET=SECRET)
    kept = await deployment.apply("namespace: default\n", "--dry-run", "--exit-code")
    pruned = await deployment.apply("namespace: default\n", "--dry-run", "--exit-code", "--prune")
    alone = await deployment.apply(text, "--exit-code", HOOK_SECRET=SECRET)

    assert [one.status for one in (new, same, kept, pruned, alone)] == [3, 0, 0, 3, 2]


async def test_programs_read_the_plan_as_json(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(URL, 80), HOOK_SECRET=SECRET)
    edited = rules_yaml(URL, 80).replace("Quota reached", "Quota").replace("hush-hush", "changed-one")

    done = await deployment.apply(edited, "--dry-run", "--output", "json", HOOK_SECRET=SECRET)

    assert json.loads(done.out) == {
        "namespace": "default",
        "dryRun": True,
        "changed": True,
        "steps": [
            {
                "action": "update",
                "kind": "channel",
                "key": "hook",
                "changes": [{"field": "customHeaders.X-Webhook-Secret"}],
            },
            {
                "action": "update",
                "kind": "rule",
                "key": "quota",
                "changes": [{"field": "name", "before": '"Quota reached"', "after": '"Quota"'}],
            },
        ],
        "warnings": [],
    }


async def test_what_no_record_has_ever_had_is_warned_of(deploy: MakeDeployment, migrated: str) -> None:
    deployment = await deploy()
    text = (
        rules_yaml(URL, 80).replace("[llm_tokens]", "[llm_token, f-1]")
        + """\
  - key: paid
    type: invoice.updated
    name: Paid
    channels: [hook]
    statuses: [payed, draft.syncing]
"""
    )
    unknown = await deployment.apply(text, "--dry-run", HOOK_SECRET=SECRET)
    await scalar(migrated, "INSERT INTO feature VALUES ('default', 'f-1', 'llm_tokens') RETURNING 1")

    known = await deployment.apply(text, "--dry-run", HOOK_SECRET=SECRET)

    status = "warning: rules.yaml, line 20: rules[1].statuses[0]: 'payed' is not a status of OpenMeter's invoices"
    assert (unknown.status, known.status) == (0, 0)
    assert unknown.err == f"{status}: did you mean 'paid'?\n"
    assert known.err == (
        "warning: rules.yaml, line 14: rules[0].features[0]: no record of this namespace has had the feature"
        f" 'llm_token': did you mean 'llm_tokens'?\n{status}: did you mean 'paid'?\n"
    )


async def test_a_suspicious_url_is_a_warning_with_its_line(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    workflow = "https://hooks.slack.com/triggers/T0/1/hush"
    text = rules_yaml(workflow, 80).replace("type: WEBHOOK", "type: WEBHOOK\n    format: slack", 1)

    for _ in range(2):  # what is as it was is as odd as it was
        applied = await deployment.apply(text, HOOK_SECRET=SECRET)

        assert (applied.status, "hush" in applied.err) == (0, False)
        assert "channels[0].url: is a workflow's: it takes only variables that the workflow declares" in applied.err


async def test_all_errors_of_all_files_are_said_in_the_order_of_lines(deploy: MakeDeployment, tmp_path: Path) -> None:
    deployment = await deploy(TOLLBELL_DELIVERY_ALLOW_CIDRS="")
    (tmp_path / "a.yaml").write_text(
        rules_yaml("ftp://tiger", -1)
        .replace("name: Quota reached", "nam: Quota reached")
        .replace("channels: [hook]", "channels: [hok]")
    )
    (tmp_path / "b.yaml").write_text("channels:\n  - key: hook\nrules: {}\n")

    done = await deployment.tollbell("apply", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    private = await deployment.apply(rules_yaml("http://10.0.0.1/x", 80, secret=SECRET))

    said = [line.removeprefix("tollbell: ") for line in done.err.splitlines()]
    assert done.status == 2
    assert [line.partition(": ")[0] for line in said] == [
        *(f"a.yaml, line {line}" for line in (6, 8, 10, 12, 13, 15)),
        *(f"b.yaml, line {line}" for line in (2, 2, 2, 2, 3)),
    ], done.err
    assert "tiger" not in done.err
    assert re.fullmatch(r"tollbell: rules.yaml, line 6: channels\[0\].url: its host is private, .*\n", private.err)


async def test_an_error_names_line_and_field_and_applies_nothing(
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
        (good + "  - [", r"line \d+: invalid YAML"),
        (good.replace("name: Hook", "name: Hook\n    name: Twice"), r"line 6: duplicate key 'name'"),
    ]

    answers = await asyncio.gather(*(deployment.apply(text, HOOK_SECRET=SECRET) for text, _ in cases))

    for (_, says), refused in zip(cases, answers, strict=True):
        assert (refused.status, refused.err.count("\n")) == (2, 1), refused.err
        assert re.search(says, refused.err), refused.err
        assert "tiger" not in refused.err
        assert SECRET not in refused.err
    assert (await deployment.apply(good, HOOK_SECRET=SECRET)).out == "+ channel hook\n+ rule quota\n"
