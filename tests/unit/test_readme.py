"""The README and the pages of docs/ say what the code does: tables against the code, examples run."""

import ast
import datetime as dt
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import yaml
from jsonschema import Draft202012Validator

from consumer import config, metrics
from consumer.cli import COMMANDS
from consumer.commands import yaml_file
from consumer.config import Listen
from consumer.decide import backoff
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Reason
from consumer.decide.outcome import OutcomeClass
from consumer.decide.payloads import payload
from consumer.deliver import signing
from consumer.demo import story
from consumer.demo.ending import expected_access, expected_counts
from consumer.serve.console import words
from consumer.store import wanted
from schemas import export, signing_secrets
from schemas.parse import parse
from schemas.reading import RejectReason
from schemas.rules import Rule, RuleId
from schemas.rules_file import RulesFile
from schemas.sources import Invoice, Snapshot
from schemas.thresholds import ThresholdType
from tests.faults import cases
from tests.mutants import __main__ as mutants
from tests.support import answers

ROOT = Path(__file__).parents[2]
PAGES = (
    *("docs/quickstart.md", "docs/rules.md", "docs/channels.md", "docs/formats.md", "docs/webhooks.md", "docs/api.md"),
    *("docs/console.md", "docs/comparison.md"),
    *("docs/settings.md", "docs/metrics.md", "docs/architecture.md", "docs/questions.md", "README.md"),
)
DOCUMENTS = (
    *PAGES,
    *("docs/operating.md", "docs/upgrading.md", "docs/sizing.md", "docs/limits.md", "docs/records.md"),
    *("docs/runbooks.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("deploy/README.md", "schemas/README.md", "tests/README.md"),
)
README = "\n".join((ROOT / page).read_text() for page in PAGES)  # what users read, as one
BLOCK = re.DOTALL | re.MULTILINE
LATEST = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
HOOK = {
    "HOOK_TOKEN": "let-me-in",
    "HOOK_SECRET": signing_secrets.generate().reveal(),
    "HOOK_URL": "https://example.com/",
}

VARIABLES = HOOK | {
    "SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/x",
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "POSTMARK_TOKEN": "t0ken",
}


def faults(shown: Any, kind: str) -> list[str]:
    """Return what *shown* has that the schema of *kind* does not allow."""
    return [error.message for error in Draft202012Validator(export.schemas()[f"{kind}.json"]).iter_errors(shown)]


def blocks(language: str, text: str = README) -> list[str]:
    """Return the code blocks of *language*, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table(first: str, text: str = README) -> list[list[str]]:
    """Return the rows of the table whose first heading is *first*."""
    found = re.search(rf"^\| {first} \|.*\n\|(?:-+\|)+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table of {first}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def code(cells: list[list[str]], column: int = 0) -> list[str]:
    """Return all that stands in backticks in a column."""
    return [name for row in cells for name in re.findall(r"`([^`]+)`", row[column])]


def duration(value: dt.timedelta) -> str:
    seconds = value.total_seconds()
    if value > dt.timedelta(days=7) and seconds % 86_400 == 0:  # as people say it: 72h, but 90d
        return f"{value.days}d"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def as_written(default: object) -> str:
    """Return a setting's default as a person would set it."""
    match default:
        case ():
            return "none"
        case None:
            return "none"
        case tuple():
            return ",".join(as_written(one) for one in default)
        case dt.timedelta():
            return duration(default)
        case Listen():
            return f"{default.host}:{default.port}"
        case _:
            return "required" if default is ... else str(default)


def rules_file() -> RulesFile:
    given = yaml_file._Reader(HOOK).value(yaml.compose(blocks("yaml")[0]))  # noqa: SLF001 - the file is a block here
    return RulesFile.model_validate(given)


def record() -> str:
    [found] = [block for block in blocks("json") if '"specversion"' in block]
    return found


def example_payload() -> dict[str, Any]:
    [found] = [block for block in blocks("json") if '"crossing"' in block]
    made: dict[str, Any] = json.loads(found)
    return made


def test_every_setting_is_there_with_its_default() -> None:
    said = {code([row])[0]: row[1].strip("`") for row in table("setting")}

    assert said == {name: as_written(default) for name, default in config.defaults().items()}


def test_defaults_in_the_table_can_be_set() -> None:
    said = {code([row])[0]: row[1].strip("`") for row in table("setting")}
    given = {name: default for name, default in said.items() if default not in {"none", "required"}}

    read = config.read(given | {"TOLLBELL_DATABASE_URL": "postgresql://localhost/"})

    assert read == config.read({"TOLLBELL_DATABASE_URL": "postgresql://localhost/"})


def test_every_setting_that_the_text_names_exists() -> None:
    known = {*config.defaults(), "TOLLBELL_TEST_KAFKA", "TOLLBELL_TEST_POSTGRES"}
    for path in [*DOCUMENTS, "Dockerfile", "deploy/compose.yaml"]:
        named = set(re.findall(r"TOLLBELL_[A-Z_]+[A-Z](?![A-Z_*])", (ROOT / path).read_text()))
        assert {name for name in named if name.removesuffix("_FILE") not in known and name not in known} == set()


def test_every_metric_is_there_with_its_labels() -> None:
    made = metrics.Metrics()
    known = {}
    for family in made.registry._collector_to_names:  # noqa: SLF001 - labels are known without a sample
        name = getattr(family, "_name", "")
        if name.startswith("tollbell_"):
            suffix = "_total" if family.__class__.__name__ == "Counter" else ""
            known[name + suffix] = list(getattr(family, "_labelnames", ()))

    assert {code([row])[0]: code([row], 1) for row in table("metric")} == known


def test_every_result_of_a_record_is_named() -> None:
    [row] = [row for row in table("metric") if "tollbell_records_total" in row[0]]

    assert tuple(code([row], 2)) == metrics.RECORD_RESULTS


def test_every_judgement_reason_is_explained_as_in_the_console() -> None:
    page = (ROOT / "docs/rules.md").read_text()

    assert {code([row])[0]: row[1] for row in table("reason", page)} == {
        one.value: words.REASONS[one] for one in Reason
    }


def test_every_outcome_of_an_attempt_is_named() -> None:
    assert sorted(code(table("outcome"))) == sorted(OutcomeClass)


def test_every_reason_of_a_dead_letter_is_named() -> None:
    assert sorted(code(table("reason", (ROOT / "docs/operating.md").read_text()))) == sorted(RejectReason)


def test_every_threshold_type_is_named() -> None:
    assert sorted(code(table("threshold"))) == sorted(ThresholdType)


def test_every_field_of_rules_and_channels_is_named() -> None:
    schema = export.schemas()["rules-file.json"]["$defs"]
    rule, threshold_rule, channel = re.findall(r"^\| field \| \|\n\|---\|---\|\n((?:\|.*\n)+)", README, re.MULTILINE)

    assert set(code([row.split("|")[1:] for row in channel.splitlines()])) == schema["Channel"]["properties"].keys()
    in_tables = set(code([row.split("|")[1:] for row in (rule + threshold_rule).splitlines()]))
    rules = [schema[name]["properties"].keys() for name in schema if name.endswith("Rule")]
    assert in_tables | {"key", "type", "name", "channels"} == set().union(*rules)


def test_the_retries_are_the_schedule() -> None:
    pauses = table("attempt")[0][1:]
    written = ",".join("0s" if pause == "0" else pause.replace("min", "m").replace(" ", "") for pause in pauses)

    assert config.read(
        {"TOLLBELL_DATABASE_URL": "postgresql://db/", "TOLLBELL_RETRY_SCHEDULE": written}
    ).retry_schedule == (config.read({"TOLLBELL_DATABASE_URL": "postgresql://db/"}).retry_schedule)
    assert round(backoff.JITTER * 100) == int(re.findall(r"Pauses vary by ±(\d+) %", README)[0])


def test_every_command_that_the_text_shows_exists() -> None:
    shown = re.findall(r"(?:^|\$\()tollbell ([a-z]+)", "\n".join(blocks("sh")), re.MULTILINE)

    assert shown
    assert set(shown) <= set(COMMANDS)


def test_the_rules_are_a_rules_file() -> None:
    Draft202012Validator(export.schemas()["rules-file.json"]).validate(yaml.safe_load(blocks("yaml")[0]))

    assert [threshold.value for threshold in rules_file().rules[0].thresholds] == [80, 100]


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if "channels:" in block])
def test_every_file_that_is_shown_can_be_applied(block: str) -> None:
    given = yaml_file._Reader(VARIABLES).value(yaml.compose(block))  # noqa: SLF001 - the file is a block here

    channels = RulesFile.model_validate(given).channels
    assert [wanted.unmask(one, None)[1] for one in channels] == [[] for _ in channels]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def test_the_numbers_of_the_proofs_are_those_of_their_commands() -> None:
    said = re.findall(r"over (\d+) (fault cases|deliberate bugs|odd answers)", (ROOT / "README.md").read_text())
    there = {
        "fault cases": len(cases.CASES),
        "deliberate bugs": len(mutants.MUTANTS),
        "odd answers": len(answers.ANSWERS),
    }

    assert {what for _, what in said} == there.keys()
    assert [what for number, what in said if not int(number) < there[what] < 1.5 * int(number)] == []
    alerts = re.findall(r"alert: \w+", (ROOT / "deploy/prometheus/tollbell.rules.yaml").read_text())
    assert f"{len(alerts)} alerts with a runbook each" in README


def test_the_odd_answers_are_counted_by_a_command_of_their_row() -> None:
    [row] = [row for row in table("claim") if "odd answers" in row[1]]
    paths = [path for command in code([row], 2) for path in re.findall(r"ARGS=(tests/\S+)", command)]

    assert paths
    assert all("import ANSWERS" in (ROOT / path).read_text() for path in paths)


def test_the_quick_start_says_what_check_prints() -> None:
    page, printed = (ROOT / "docs/quickstart.md").read_text(), (ROOT / "consumer/commands/check.py").read_text()
    marks = set(re.findall(r'click\.echo\(f"(\w+)  +', printed))
    step = page.partition("**5.")[2].partition("```")[0]

    assert marks == {"ok", "warn", "FAIL", "note"}
    assert marks - set(re.findall(r"`(\w+)`", step)) == set()


def test_the_quick_start_says_which_kafka_scripts_need_docker() -> None:
    page = (ROOT / "docs/quickstart.md").read_text()
    [said] = re.findall(r"\(With Docker, put .*?\)", page, re.DOTALL)
    used = {name for block in blocks("sh", page) for name in re.findall(r"kafka-[\w-]+\.sh", block)}

    assert used == set(re.findall(r"kafka-[\w-]+\.sh", said))
    assert "docker exec --interactive" in said  # one of them reads its input


def test_the_record_and_the_rules_make_the_payload() -> None:
    shown = example_payload()
    source = parse(record().encode(), [], latest=LATEST)
    assert isinstance(source, Snapshot)
    config_of = rules_file().rules[0]
    rule = Rule(
        id=RuleId(shown["data"]["rule"]["id"]),
        namespace="default",
        name=config_of.name,
        spec=config_of.spec,
        channels=("channel-1",),
    )

    [crossing] = judge([rule], source, UNSEEN).occurrences

    assert json.loads(payload(crossing, shown["id"])) == shown


def test_the_payload_is_of_its_schema() -> None:
    assert faults(example_payload(), "entitlements.balance.threshold") == []


@pytest.mark.parametrize("example", [record(), *blocks("json", (ROOT / "docs/records.md").read_text())])
def test_the_records_are_understood(example: str) -> None:
    assert isinstance(parse(example.encode(), [], latest=LATEST), Snapshot | Invoice)
    shown = json.loads(example)
    assert faults(shown, shown["type"]) == []


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_is_python(block: str) -> None:
    assert ast.parse(block, "README.md").body


def test_the_verification_takes_what_we_sign_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = [block for block in blocks("python") if "def receive" in block]
    monkeypatch.setattr(os, "environ", HOOK)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own README
    body, now = json.dumps(example_payload()).encode(), int(time.time())  # noqa: TID251 - the library asks this clock
    secrets = [signing_secrets.Secret(HOOK["HOOK_SECRET"])]
    signature = signing.sign(signing.keys(secrets), webhook_id="e-1", timestamp=now, body=body)
    headers = {"webhook-id": "e-1", "webhook-timestamp": str(now), "webhook-signature": signature}

    assert names["receive"](body, headers) == example_payload()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        names["receive"](body + b" ", headers)


def test_the_transcript_of_the_demo_is_of_its_story() -> None:
    [transcript] = re.findall(r"^<!-- demo transcript: begin -->\n(.*?)<!-- demo transcript: end -->", README, BLOCK)
    steps = list(story.steps())
    counts, access = expected_counts(steps), expected_access(steps)
    shown = {f"{number}. {act.title}\n   {act.shows}\n" for number, act in enumerate(story.ACTS, 1)}

    acts = re.findall(r"^\d+\. .*\n   .*\n", transcript, re.MULTILINE)
    summary = dict(re.findall(r"^   ([a-z ]+?)  +(.*)$", transcript.partition("All as expected.")[2], re.MULTILINE))

    assert len(acts) > 1
    assert set(acts) <= shown
    assert [int(summary[name].split()[0]) for name in ("records", "events", "deliveries", "retries")] == [
        counts.records,
        counts.events,
        counts.deliveries,
        counts.retries,
    ]
    assert summary["cut off"] == ", ".join(sorted(customer for customer, has in access.items() if not has))
    assert summary["access back"] == ", ".join(sorted(customer for customer, has in access.items() if has))


@pytest.mark.parametrize("path", ["deploy/rules.yaml", "deploy/demo/rules.yaml"])
def test_the_rules_files_of_the_repository_are_rules_files(path: str) -> None:
    environment = HOOK | {"HOOK_SIGNING_SECRET": HOOK["HOOK_SECRET"], "DEMO_NAMESPACE": "demo"}

    assert yaml_file.read(ROOT / path, RulesFile, environment).model.rules


@pytest.mark.parametrize("path", sorted({*DOCUMENTS, *(f"docs/{one.name}" for one in (ROOT / "docs").glob("*.md"))}))
def test_every_link_into_the_tree_leads_somewhere(path: str) -> None:
    text = (ROOT / path).read_text()
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        linked = (ROOT / path).parent / target if target else ROOT / path
        assert linked.exists(), target
        if fragment:
            page = linked / "README.md" if linked.is_dir() else linked
            headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert fragment in anchors, f"{target}#{fragment}"


@pytest.mark.parametrize("path", ["CONTRIBUTING.md", "SECURITY.md"])
def test_the_files_that_are_named_are_there(path: str) -> None:
    named = re.findall(r"`((?:consumer|schemas|tests)/[\w/]+\.\w+)`", (ROOT / path).read_text(encoding="utf-8"))

    assert named
    assert [one for one in named if not (ROOT / one).is_file()] == []
