"""The story is true: the code that judges, asked without any server, says what the story says."""

import datetime as dt
from pathlib import Path

from consumer.commands import yaml_file
from consumer.consume.parse import Reject, parse
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, Document, Reason
from consumer.demo import story
from consumer.demo.place import rules_file
from consumer.demo.records import FEATURE, NAMESPACE, Records
from schemas import signing_secrets
from schemas.reading import RejectReason
from schemas.rules import Rule, RuleId
from schemas.rules_file import RulesFile

NOW = dt.datetime.now(dt.UTC)  # noqa: TID251 - the story is told now
RECORDS = Records("test", NOW)


def read_rules() -> RulesFile:
    environment = {
        "HOOK_URL": "https://example.com/hooks",
        "HOOK_TOKEN": "token",
        "HOOK_SIGNING_SECRET": signing_secrets.generate().reveal(),
    }
    return yaml_file.read(rules_file(), RulesFile, environment)


def test_the_rules_file_is_what_the_story_is_about() -> None:
    file = read_rules()

    assert rules_file() == Path(__file__).parents[2] / "deploy/demo/rules.yaml"
    assert file.namespace == NAMESPACE
    assert [rule.features for rule in file.rules] == [(FEATURE,)]
    assert [threshold.value for threshold in file.rules[0].thresholds] == list(story.THRESHOLDS)


def test_each_record_is_judged_as_the_story_says() -> None:
    spec = read_rules().rules[0].spec
    rule = Rule(id=RuleId("rule"), namespace=NAMESPACE, name="Quota", spec=spec, channels=("channel",))
    memory: dict[str, Document] = {}
    told: list[tuple[Reason, ...] | RejectReason] = []

    for step in story.steps():
        source = parse(RECORDS.value(step), (), latest=NOW + dt.timedelta(minutes=5))
        if isinstance(source, Reject):
            told.append(source.reason)
            continue
        assert hasattr(source, "entitlement_id")
        judgement = judge([rule], source, memory.get(source.entitlement_id, UNSEEN))
        memory[source.entitlement_id] = judgement.document
        told.append(tuple(reason for _, reason in judgement.reasons))

    assert told == [step.reject or step.reasons for step in story.steps()]


def test_the_receiver_is_busy_for_one_webhook_of_the_story() -> None:
    answers = [each for step in story.steps() for each in step.answers.values()]

    assert sorted(answers) == [(200,)] * 6 + [(503, 200)]
