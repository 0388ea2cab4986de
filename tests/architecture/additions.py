"""What `test_extensions.py` adds to a copy of the tree: a rule type, a payload format, an input."""

FORECAST = "consumer/decide/rules/forecast.py"
RULE_TYPE_NAMED = {
    "schemas/rules.py": [
        (
            '    ENTITLEMENT_RESET = "entitlements.reset"\n',
            '    ENTITLEMENT_RESET = "entitlements.reset"\n    FORECAST = "entitlements.forecast"\n',
        ),
        (
            "class InvoiceCreatedSpec(Model):",
            '''class ForecastSpec(Model):
    """Configuration of `entitlements.forecast`."""

    type: Literal[RuleType.FORECAST]
    features: Features = None


class InvoiceCreatedSpec(Model):''',
        ),
        ("Spec = BalanceThresholdSpec | ResetSpec |", "Spec = BalanceThresholdSpec | ForecastSpec | ResetSpec |"),
        (
            "class InvoiceCreatedRuleConfig(",
            '''class ForecastRuleConfig(RuleFields, ForecastSpec):
    """A rule about where usage leads."""


class InvoiceCreatedRuleConfig(''',
        ),
        (
            "    BalanceThresholdRuleConfig | ResetRuleConfig |",
            "    BalanceThresholdRuleConfig | ForecastRuleConfig | ResetRuleConfig |",
        ),
    ],
}
RULE_TYPE_REGISTERED = {
    "consumer/decide/rules/__init__.py": [
        ("import balance_threshold, entitlement_reset,", "import balance_threshold, entitlement_reset, forecast,"),
        (
            "        case RuleType.INVOICE_CREATED:\n",
            (
                "        case RuleType.FORECAST:\n            return AboutEntitlements(forecast)\n"
                "        case RuleType.INVOICE_CREATED:\n"
            ),
        ),
    ],
}
RULE_TYPE_PAYLOAD = {
    "schemas/events.py": [
        (
            "class InvoiceEvent(",
            '''class ForecastData(msgspec.Struct, frozen=True, omit_defaults=True):
    """`data` of `entitlements.forecast`."""

    action: Literal["triggered"]
    rule: ResetRulePart
    feature: FeatureData
    entitlement: EntitlementData
    value: ValueData
    subject: PartyData | None = None
    customer: PartyData | None = None


class ForecastEvent(msgspec.Struct, frozen=True):
    """The body of a webhook. `timestamp`: the record's."""

    id: str
    type: Literal["entitlements.forecast"]
    timestamp: Time
    data: ForecastData


class InvoiceEvent(''',
        ),
        (
            '    "entitlements.reset": (ResetEvent,',
            ('    "entitlements.forecast": (ForecastEvent, "Forecast"),\n    "entitlements.reset": (ResetEvent,'),
        ),
    ],
}
RULE_TYPE_CONSOLE = {
    "consumer/serve/console/words.py": [
        (
            "        case RuleType.INVOICE_CREATED:\n",
            '        case RuleType.FORECAST:\n            return "Forecast"\n        case RuleType.INVOICE_CREATED:\n',
        ),
    ],
    "consumer/serve/console/drafts.py": [
        (
            "        case RuleType.ENTITLEMENT_RESET:\n",
            "        case RuleType.ENTITLEMENT_RESET | RuleType.FORECAST:\n",
        ),
    ],
}
FORECAST_WHOLE = '''"""`entitlements.forecast`: once a period, when usage at this rate will be above the allowance."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from consumer.decide.model import Mark, Payload, Reason
from consumer.decide.payloads import parties_of
from consumer.decide.rules.contracts import OF_ENTITLEMENTS, EntitlementRecord, Finding, PeriodClosed
from consumer.decide.sample_records import full_level, month_of, sample_snapshot
from schemas.events import Action, FeatureRef, ForecastData, ForecastEvent, ResetRulePart, feature_refs
from schemas.rules import ForecastSpec, Rule, Spec
from schemas.sources import Snapshot
from schemas.thresholds import Line, Threshold

REASONS: Final = (Reason.FIRST_CROSSING, Reason.ALREADY_FIRED, Reason.BELOW, Reason.NO_ALLOWANCE, *OF_ENTITLEMENTS)
ACTIONS: Final = (Action.TRIGGERED,)
SAMPLE: Final[Mapping[str, Any]] = {}
_MARK: Final = "forecast"


class Forecast(msgspec.Struct, frozen=True):
    """An allowance that will not last."""

    rule: Rule
    snapshot: Snapshot
    begins: dt.datetime
    reason: Reason = Reason.FIRST_CROSSING
    action: Action = Action.TRIGGERED

    @property
    def occurred_at(self) -> dt.datetime:
        return self.snapshot.calculated_at

    @property
    def made_before(self) -> Reason:
        return Reason.DUPLICATE

    @property
    def fired_in(self) -> dt.datetime:
        return self.begins

    @property
    def closes(self) -> None:
        return None

    def identity(self) -> Sequence[str]:
        return ("forecast", self.snapshot.namespace, self.rule.id, self.snapshot.entitlement_id, str(self.begins))

    def preceding(self) -> None:
        return None

    def payload(self, event_id: str, timestamp: str) -> Payload:
        about, rule = self.snapshot.origin.about(), self.rule
        named = ResetRulePart(rule.id, rule.name, rule.type.value, feature_refs(_its(rule.spec).features, about))
        data = ForecastData(
            "triggered", named, about.feature, about.entitlement, about.value, about.subject, about.customer
        )
        return Payload(ForecastEvent(event_id, "entitlements.forecast", timestamp, data), parties_of(about))


def features(spec: Spec) -> tuple[str, ...] | None:
    return _its(spec).features


def thresholds(_rule: Rule) -> Sequence[Threshold]:
    return ()


def lines(_rule: Rule) -> Sequence[Line] | None:
    return None  # the time of the record decides too


def looks_back(_rule: Rule) -> bool:
    return False


def evaluate(rule: Rule, record: EntitlementRecord) -> Finding:
    snapshot, marks = record.snapshot, record.period.marks.get(rule.id, {})
    usage, allowance, end = snapshot.usage, snapshot.allowance, snapshot.period_to
    if usage is None or allowance is None or end is None:
        return Finding((), (Reason.NO_ALLOWANCE,))
    if _MARK in marks:
        return Finding((), (Reason.ALREADY_FIRED,))
    elapsed, whole = snapshot.calculated_at - record.begins, end - record.begins
    if usage * (whole // dt.timedelta(seconds=1)) <= allowance * (elapsed // dt.timedelta(seconds=1)):
        return Finding((), (Reason.BELOW,))
    mark = Mark("fired", 1, snapshot.calculated_at, usage)
    return Finding((Forecast(rule, snapshot, record.begins),), (Reason.FIRST_CROSSING,), {_MARK: mark})


def closed(_rule: Rule, _over: PeriodClosed) -> Sequence[Forecast]:
    return ()


def ended(_rule: Rule, _over: PeriodClosed) -> Sequence[Forecast]:
    return ()


def sample(rule: Rule, feature: FeatureRef, at: dt.datetime) -> Forecast:
    return Forecast(rule, sample_snapshot(rule.namespace, feature, at, month_of(at), full_level()), month_of(at))


def _its(spec: Spec) -> ForecastSpec:
    assert isinstance(spec, ForecastSpec)
    return spec
'''
FORECAST_WITHOUT_SAMPLE = FORECAST_WHOLE.replace("def sample(", "def unnamed(")
# What is common to what is run in the copy.
_USES = """
import datetime as dt, json
from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN
from consumer.decide.payloads import payload
from consumer.decide.rules import REASONS
from consumer.consume.fast_path.standing import Under, Why, standing
from consumer.formats import render
from consumer.formats.preview import samples
from consumer.store.catalog import Catalog
from schemas import export
from consumer.consume.fast_path.glance import look
from schemas.parse import parse
from schemas.rules import Rule, RuleId, read_spec

NOW = "2026-11-10T00:00:00Z"
DATA = {
    "calculatedAt": NOW, "subject": {"key": "acme-prod"}, "customer": {"id": "c-1", "key": "acme"},
    "feature": {"id": "f-1", "key": "llm_tokens"}, "value": {"usage": 60, "allowance": 100},
    "entitlement": {"id": "ent-1", "period": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}},
}
EVENT = {"specversion": "1.0", "id": "1", "source": "tests", "type": "tollbell.usage.snapshot", "time": NOW}
RECORD = json.dumps(EVENT | {"data": DATA}).encode()
LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)

def rule_of(kind, **spec):
    return Rule(id=RuleId("r"), namespace="default", name="Pace", spec=read_spec({"type": kind} | spec), channels=())
"""
# A record, judged twice by a rule of the type; what it fires, sent; and no record passed over, for want of lines.
RULE_TYPE_USED = (
    _USES
    + """
rule = rule_of("entitlements.forecast", features=["llm_tokens"])
source = parse(RECORD, (), latest=LATEST)
rules = Catalog(1, [rule]).about(source)
first = judge(rules, source, UNSEEN)
again = judge(rules, source, first.document)
print([one.id for one in rules], [reason.value for _, reason in first.reasons + again.reasons])
(fired,) = first.occurrences
body = payload(fired, "event-1")
print(json.loads(body)["type"], json.loads(body)["data"]["rule"]["name"])
print(json.loads(render("slack", body).body)["text"])
print(standing(look(RECORD, ()), source, Under("", "", "", rules), first.document, Why(again.reasons)))
print({kind for kind, _ in samples(LATEST)} == {*REASONS}, "entitlements.forecast.json" in export.schemas())
"""
)
RULE_TYPE_SAYS = [
    "['r'] ['first_crossing', 'already_fired']",
    "entitlements.forecast Pace",
    "Pace: entitlements.forecast. The rule “Pace” has fired.",
    "None",
    "True True",
]

PLAIN = "consumer/formats/plain.py"
PLAIN_WHOLE = '''"""`plain`: the title alone."""

import msgspec

from consumer.formats.message import Message
from consumer.formats.rendered import Rendered


def render(message: Message) -> Rendered:
    """Return the body."""
    return Rendered(msgspec.json.encode({"title": message.title}))
'''
FORMAT_NAMED = {"schemas/channels.py": [('"pagerduty", "template"]', '"pagerduty", "plain", "template"]')]}
FORMAT_REGISTERED = {
    "consumer/formats/__init__.py": [
        ("flat, openmeter, pagerduty, slack", "flat, openmeter, pagerduty, plain, slack"),
        (
            '        case "template":\n',
            (
                '        case "plain":\n            return plain.render(wording.message(see(payload)))\n'
                '        case "template":\n'
            ),
        ),
    ],
    "consumer/formats/reading.py": [('"cloudevents" | "template"', '"cloudevents" | "plain" | "template"')],
    "consumer/formats/checks.py": [('"cloudevents" | "template"', '"cloudevents" | "plain" | "template"')],
}
FORMAT_USED = (
    _USES
    + """
thresholds = [{"type": "usage_percentage", "value": 50}]
rule = rule_of("entitlements.balance.threshold", thresholds=thresholds)
(fired,) = judge([rule], parse(RECORD, (), latest=LATEST), UNSEEN).occurrences
print(render("plain", payload(fired, "event-1")).body.decode())
"""
)
FORMAT_SAYS = '{"title":"acme has reached 50 % of llm_tokens"}'

ACME = "schemas/acme.py"
ACME_WHOLE = '''"""`com.acme.usage`: a record of Acme's."""

import msgspec

from schemas.native import read_native_snapshot
from schemas.sources import SourceEvent

USAGE_TYPE = "com.acme.usage"


class _Usage(msgspec.Struct):
    native: msgspec.Raw


def read_usage(data: bytes, *, subject: str | None) -> SourceEvent:
    """Return the source event of Acme's *data*."""
    return read_native_snapshot(bytes(msgspec.json.decode(data, type=_Usage).native), subject=subject)
'''
INPUT_REGISTERED = {
    "schemas/parse.py": [
        ("from schemas import native,", "from schemas import acme, native,"),
        (
            "    native.SNAPSHOT_TYPE: lambda",
            (
                "    acme.USAGE_TYPE: lambda data, envelope: acme.read_usage(data, subject=envelope.subject),\n"
                "    native.SNAPSHOT_TYPE: lambda"
            ),
        ),
    ],
}
INPUT_USED = (
    _USES
    + """
rule = rule_of("entitlements.balance.threshold", thresholds=[{"type": "usage_percentage", "value": 50}])
acme = json.dumps(EVENT | {"type": "com.acme.usage", "data": {"native": DATA}}).encode()
source = parse(acme, (), latest=LATEST)
(fired,) = judge(Catalog(1, [rule]).about(source), source, UNSEEN).occurrences
print(fired.reason.value)
"""
)
INPUT_SAYS = "first_crossing"
SOURCE_EVENT = {
    "schemas/sources.py": [
        (
            "EntitlementEvent = Snapshot",
            '''class Forecast(msgspec.Struct, frozen=True):
    """What will be used."""

    namespace: str
    entitlement_id: str
    feature_id: str
    feature_key: str


EntitlementEvent = Forecast | Snapshot''',
        ),
    ],
}
