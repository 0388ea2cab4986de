"""The story is true: the code that judges, asked without any server, says what the story says."""

import datetime as dt
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from consumer import ids
from consumer.commands import yaml_file
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE, AnyDocument, Judgement
from consumer.decide.payloads import payload
from consumer.demo import story, webhooks
from consumer.demo.ending import expected_access
from consumer.demo.place import rules_file
from consumer.demo.records import StoryRecords
from consumer.demo.screen import WIDTH
from consumer.demo.steps import REQUESTS, STORAGE, Act, Clock, Record, Step, Usage, answers
from consumer.demo.webhooks import Webhook
from consumer.store.catalog import Catalog
from consumer.store.memory import key_of
from schemas import signing_secrets
from schemas.parse import Ignored, Reject, parse
from schemas.rules import BalanceThresholdSpec, ResetSpec, Rule, RuleId, RuleType
from schemas.rules_file import RulesFile
from schemas.sources import Invoice, PeriodEnd, Snapshot

NAMESPACE = "demo"


def read_rules() -> RulesFile:
    environment = {
        "DEMO_NAMESPACE": NAMESPACE,
        "HOOK_URL": "https://example.com/hooks",
        "HOOK_TOKEN": "token",
        "HOOK_SIGNING_SECRET": signing_secrets.generate().reveal(),
    }
    return yaml_file.read(rules_file(), RulesFile, environment).model


class Judge:
    """All rules of the demo, and what is remembered."""

    def __init__(self) -> None:
        rules = [
            Rule(id=RuleId(str(rule.key)), namespace=NAMESPACE, name=rule.name, spec=rule.spec, channels=("channel",))
            for rule in read_rules().rules
        ]
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - the story begins now, maybe long after this was imported
        self.records = StoryRecords("test", NAMESPACE, now)
        self._latest = now + dt.timedelta(minutes=5)
        self._catalog = Catalog(1, rules)
        self._memory: dict[object, AnyDocument] = {}
        self._shown: dict[str, Snapshot] = {}
        self._last = b""

    def judge(self, step: Step) -> tuple[object, list[Webhook]]:
        """Return why *step* is rejected, or how each rule judges it; and the webhooks that come of it."""
        source = self._clock(step) if isinstance(step, Clock) else self._parsed(step)
        if isinstance(source, Reject):
            return source.reason, []
        rules = self._catalog.about(source)
        unseen = UNSEEN_INVOICE if isinstance(source, Invoice) else UNSEEN
        judgement = judge(rules, source, self._memory.get(key_of(source), unseen))
        self._memory[key_of(source)] = judgement.document
        return reasons_of(judgement), [self._webhook(body) for body in payloads(judgement)]

    def _parsed(self, step: Record) -> Snapshot | Invoice | Reject:
        is_repeat = isinstance(step, Usage) and step.is_repeat
        self._last = self._last if is_repeat else self.records.value(step)
        source = parse(self._last, (), latest=self._latest)
        assert not isinstance(source, Ignored)
        assert isinstance(source, Snapshot | Invoice | Reject)
        if isinstance(source, Snapshot):
            self._shown[step.customer] = source
        return source

    def _clock(self, step: Clock) -> PeriodEnd:
        shown = self._shown[step.customer]
        return PeriodEnd(
            namespace=NAMESPACE,
            entitlement_id=shown.entitlement_id,
            feature_id=shown.feature_id,
            feature_key=shown.feature_key,
            origin=shown.origin,
        )

    def _webhook(self, body: bytes) -> Webhook:
        return webhooks.read(body, self.records.period_number).webhook


def reasons_of(judgement: Judgement) -> dict[RuleType, tuple[str, ...]]:
    types = dict.fromkeys(rule_type for rule_type, _ in judgement.reasons)
    return {kind: tuple(reason for rule_type, reason in judgement.reasons if rule_type == kind) for kind in types}


def payloads(judgement: Judgement) -> Sequence[bytes]:
    return [payload(occurrence, ids.new()) for occurrence in judgement.occurrences]


def test_the_rules_file_is_what_the_story_is_about() -> None:
    file = read_rules()
    levels = {rule.spec.features: rule.spec for rule in file.rules if isinstance(rule.spec, BalanceThresholdSpec)}
    resets = [rule.spec.features for rule in file.rules if isinstance(rule.spec, ResetSpec)]

    assert rules_file() == Path(__file__).parents[2] / "deploy/demo/rules.yaml"
    assert file.namespace == NAMESPACE
    assert {features: tuple(threshold.value for threshold in spec.thresholds) for features, spec in levels.items()} == {
        (feature.key,): feature.percents for feature in (REQUESTS, STORAGE)
    }
    assert resets == [(feature.key,) for feature in (REQUESTS, STORAGE) if feature.notifies_of_resets]


def test_each_rule_judges_each_record_as_the_story_says() -> None:
    judges = Judge()

    judged = [judges.judge(step) for step in story.steps()]

    assert judged == [(expected(step), list(step.webhooks)) for step in story.steps()]


def expected(step: Step) -> object:
    match step:
        case Clock():
            return {RuleType.ENTITLEMENT_RESET: ("reset_automatic",)}
        case Usage(reject=reject) if reject:
            return reject
        case _:
            return step.reasons


def test_the_webhooks_of_the_story_differ_from_each_other() -> None:
    webhooks = [webhook for step in story.steps() for webhook in step.webhooks]

    assert len(set(webhooks)) == len(webhooks)


def test_the_receiver_is_busy_for_one_webhook_of_the_story() -> None:
    statuses = [each for step in story.steps() for each in answers(step).values()]

    assert sorted(statuses) == [(200,)] * 17 + [(503, 200)]


def test_the_story_gives_access_back_to_all_but_one_customer() -> None:
    """By a record, by a person and by the clock."""
    access = expected_access(list(story.steps()))

    assert access == {"acme": True, "globex": True, "initech": True, "hooli": False}


def test_the_clock_resets_a_customer_cut_off_in_a_short_period() -> None:
    steps = list(story.steps())
    [clock] = [step for step in steps if isinstance(step, Clock)]
    records = [step for step in steps if isinstance(step, Usage) and step.customer == clock.customer]

    assert steps.index(clock) == len(steps) - 1
    assert [record.lasts for record in records] == [story.SHORT_PERIOD]
    assert [webhook.gives_access for webhook in records[0].webhooks] == [None, False]


@pytest.mark.parametrize("act", story.ACTS, ids=lambda act: act.title)
def test_what_an_act_shows_is_one_line(act: Act) -> None:
    assert len(act.shows) <= WIDTH - 3


def test_the_image_contains_all_that_the_package_includes() -> None:
    root = Path(__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    taken = build["targets"]["wheel"]["force-include"]
    let_in = [line[1:] for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]

    assert {"deploy/demo/rules.yaml", "deploy/enforcement"} <= set(taken)
    assert [path for path in taken if not any(Path(path).is_relative_to(one) for one in let_in)] == []
    assert all((root / path).exists() for path in taken)
