"""Every reason of a judgement, brought about by records on a topic, and seen in /metrics: so often, and no other."""

import json
from collections import Counter
from collections.abc import Sequence

import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from consumer.decide.model import Reason
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import invoice_record, native_record, openmeter_record, reset_record
from tests.support.fakes import Receiver
from tests.support.progress import statement_waits
from tests.support.service import Replica
from tests.support.verification import SECRET

RULES = """\
channels:
  - {{key: hook, type: WEBHOOK, name: Hook, url: "{url}", signingSecret: "{secret}"}}
rules:
  - {{key: plain, type: entitlements.balance.threshold, name: Plain, channels: [hook], features: [plain],
     thresholds: [{{type: usage_percentage, value: 80}}, {{type: balance_value, value: 5}}]}}
  - {{key: rearm, type: entitlements.balance.threshold, name: Re-arm, channels: [hook], features: [rearm],
     rearm: recovery, notifyOn: [triggered, recovered], thresholds: [{{type: usage_percentage, value: 80}}]}}
  - {{key: highest, type: entitlements.balance.threshold, name: Highest, channels: [hook], features: [highest],
     emit: highest, thresholds: [{{type: usage_value, value: 50}}, {{type: usage_value, value: 60}}]}}
  - {{key: ignore, type: entitlements.balance.threshold, name: Ignore, channels: [hook], features: [ignore],
     onCreate: ignore, thresholds: [{{type: usage_value, value: 50}}]}}
  - {{key: reset, type: entitlements.reset, name: Reset, channels: [hook], features: [reset]}}
  - {{key: created, type: invoice.created, name: Created, channels: [hook]}}
  - {{key: updated, type: invoice.updated, name: Updated, channels: [hook], statuses: [issued, paid]}}
"""
NOVEMBER = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
OCTOBER = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
MIDDLE = ("2026-11-15T00:00:00Z", "2026-12-15T00:00:00Z")
THRESHOLD, RESET = "entitlements.balance.threshold", "entitlements.reset"
CREATED, UPDATED = "invoice.created", "invoice.updated"


def of(feature: str, usage: object, allowance: object = 100, minute: int = 0, **more: object) -> bytes:
    at = f"2026-11-22T10:{minute:02}:00Z"
    data = {"feature": {"key": feature}, "calculated_at": at, **more}
    return native_record(usage, allowance, entitlement=f"ent-{feature}", **data)  # type: ignore[arg-type]


def bare(feature: str, usage: int, **value: object) -> bytes:
    """A level of which the allowance is not known."""
    record = json.loads(of(feature, usage))
    record["data"]["value"] = {"usage": usage, **value}
    record["data"]["entitlement"]["id"] = "ent-bare"
    return json.dumps(record).encode()


def entitlement(feature: str, **more: object) -> bytes:
    period = dict(zip(("from", "to"), NOVEMBER, strict=True))
    record = json.loads(of(feature, 90))
    record["data"]["entitlement"] = {"id": f"ent-{feature}", "period": period, **more}
    return json.dumps(record).encode()


def deleted() -> bytes:
    record = json.loads(openmeter_record(operation="delete"))
    record["data"]["entitlement"] |= {"featureKey": "plain"}
    return json.dumps(record).encode()


def invoice(minute: int, status: str, previous: str | None = None, **more: object) -> bytes:
    return invoice_record(
        status, previous, time=f"2026-11-22T10:{minute:02}:00Z", event_id=f"{status}-{minute}", **more
    )  # type: ignore[arg-type]


Expected = tuple[bytes, Sequence[tuple[str, Reason]]]
STORY: list[Expected] = [
    # thresholds
    (of("plain", 10), [(THRESHOLD, Reason.BELOW), (THRESHOLD, Reason.BELOW)]),
    (of("plain", 80), [(THRESHOLD, Reason.FIRST_CROSSING), (THRESHOLD, Reason.BELOW)]),
    (of("plain", 95), [(THRESHOLD, Reason.ALREADY_FIRED), (THRESHOLD, Reason.FIRST_CROSSING)]),
    (bare("plain", 90), [(THRESHOLD, Reason.NO_ALLOWANCE), (THRESHOLD, Reason.NO_BALANCE)]),
    (of("highest", 70), [(THRESHOLD, Reason.ALSO_CROSSED), (THRESHOLD, Reason.FIRST_CROSSING)]),
    (of("ignore", 70), [(THRESHOLD, Reason.IGNORED_ON_CREATE)]),
    (of("rearm", 90, minute=10), [(THRESHOLD, Reason.FIRST_CROSSING)]),
    (of("rearm", 20, minute=9), [(THRESHOLD, Reason.LATE)]),
    (of("rearm", 20, minute=11), [(THRESHOLD, Reason.RECOVERED)]),
    (of("rearm", 90, minute=12), [(THRESHOLD, Reason.REARMED)]),
    # records as a whole
    (of("rearm", 100, period=OCTOBER), [(THRESHOLD, Reason.STALE_PERIOD)]),
    (entitlement("plain", type="static"), [(THRESHOLD, Reason.NOT_METERED)]),
    (entitlement("plain", activeTo="2026-11-20T00:00:00Z"), [(THRESHOLD, Reason.INACTIVE)]),
    (deleted(), [(THRESHOLD, Reason.DELETED)]),
    # resets
    (of("reset", 1, period=OCTOBER), [(RESET, Reason.SAME_PERIOD)]),
    (of("reset", 1, period=NOVEMBER), [(RESET, Reason.RESET_AUTOMATIC)]),
    (
        reset_record(reset_at="2026-11-15T00:00:00Z", period=MIDDLE, feature={"key": "reset"}, entitlement="ent-reset"),
        [(RESET, Reason.RESET_MANUAL)],
    ),
    (
        reset_record(reset_at="2026-11-15T00:00:00Z", period=MIDDLE, feature={"key": "reset"}, entitlement="ent-reset"),
        [(RESET, Reason.ALREADY_RESET)],
    ),
    # invoices
    (invoice(0, "gathering"), [(UPDATED, Reason.GATHERING)]),
    (invoice(1, "draft.created", kind="created"), [(CREATED, Reason.INVOICE_CREATED)]),
    (invoice(1, "draft.created", kind="created"), [(CREATED, Reason.DUPLICATE)]),
    (invoice(2, "draft.validating"), [(UPDATED, Reason.STATUS_NOT_WANTED)]),
    (invoice(3, "issued"), [(UPDATED, Reason.STATE_CHANGED)]),
    (invoice(4, "issued"), [(UPDATED, Reason.SAME_STATE)]),
    (invoice(2, "paid"), [(UPDATED, Reason.LATE)]),
]


async def judged(replica: Replica) -> Counter[tuple[str, str]]:
    _, text = await replica.http("/metrics")
    return Counter(
        {
            (sample.labels["rule_type"], sample.labels["reason"]): int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "tollbell_judgements_total" and sample.value
        }
    )


async def test_each_reason_is_reached_by_a_record_and_counted(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    applied = await deployment.apply(RULES.format(url=receiver.url(), secret=SECRET))
    assert applied.status == 0, applied.err
    expected: Counter[tuple[str, str]] = Counter()
    async with await deployment.replica() as replica:
        await replica.ready()

        # One after the other: each record's reasons are its own.
        for n, (record, reasons) in enumerate(STORY, 1):
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], record)
            await replica.reaches("tollbell_records_total", n, result="judged")
            expected.update((rule_type, reason.value) for rule_type, reason in reasons)
            assert await judged(replica) == expected, (n, record)

    assert {reason for _, reason in expected} == set(Reason) - {Reason.RULE_GONE}


async def test_a_rule_disabled_before_the_write_makes_nothing(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(RULES.format(url=receiver.url(), secret=SECRET))
    editor = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    async with await deployment.replica() as replica:
        await replica.ready()

        # The editor has the rule's row while the record is judged by what was, and the write waits for it.
        async with editor.transaction():
            await editor.execute("UPDATE catalog SET revision = revision + 1")
            await editor.execute("UPDATE rule SET disabled = true WHERE key = 'plain'")
            await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], of("plain", 80))
            await statement_waits(deployment.environment["TOLLBELL_DATABASE_URL"])

        await replica.reaches("tollbell_judgements_total", 1, rule_type=THRESHOLD, reason="rule_gone")
        await replica.reaches("tollbell_records_total", 1)
        assert await judged(replica) == Counter({(THRESHOLD, "rule_gone"): 1})
        assert await editor.fetchval("SELECT count(*) FROM event") == 0
    await editor.close()
