"""Every counter is there at zero; what can't be known is absent; each says what it is."""

import datetime as dt

import pytest
from prometheus_client import generate_latest

from consumer import clock
from consumer.decide.model import Reason
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.rules import ACTIONS, REASONS
from consumer.metrics import Metrics
from schemas.reading import RejectReason
from schemas.rules import RuleType
from tests.support.factories import NOW

# Of the contract: the words stay, dashboards and alerts are built on them.
WORDS = """first_crossing rearmed recovered already_fired also_crossed below ignored_on_create no_allowance
no_balance late stale_period not_metered inactive deleted reset_manual reset_automatic already_reset same_period
invoice_created state_changed same_state status_not_wanted gathering duplicate rule_gone"""
TYPES = ("entitlements.balance.threshold", "entitlements.reset", "invoice.created", "invoice.updated")
# What only a server can say.
UNKNOWN = """tollbell_build_info tollbell_ready tollbell_consumer_lag tollbell_consumer_lag_seconds
tollbell_last_record_timestamp_seconds tollbell_catalog_age_seconds tollbell_deliveries tollbell_outbox_due
tollbell_outbox_oldest_due_age_seconds tollbell_outbox_oldest_sendable_age_seconds tollbell_channels
tollbell_channel_failing tollbell_retention_seconds
tollbell_retention_oldest_partition_age_seconds tollbell_retention_partitions_ahead"""


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def labels(metrics: Metrics, name: str) -> set[tuple[str, ...]]:
    """The label values of each series of *name*."""
    samples = [one for family in metrics.registry.collect() for one in family.samples]
    return {tuple(one.labels.values()) for one in samples if one.name == name}


def answered(status: int, *, after: float = 1, took: int = 200) -> Outcome:
    """An attempt that began *after* seconds."""
    began = NOW + dt.timedelta(seconds=after)
    return Outcome(kind=OutcomeClass.STATUS, started_at=began, duration_ms=took, status=status)


def test_the_reasons_are_those_of_the_contract() -> None:
    assert [str(reason) for reason in Reason] == WORDS.split()
    assert tuple(RuleType) == TYPES
    assert {reason for of_type in REASONS.values() for reason in of_type} == set(Reason)
    assert REASONS.keys() == ACTIONS.keys() == set(RuleType)


def test_each_possible_reason_and_action_is_there_and_no_other() -> None:
    metrics = Metrics()

    judged, made = labels(metrics, "tollbell_judgements_total"), labels(metrics, "tollbell_events_total")

    assert judged == {(kind, reason) for kind, reasons in REASONS.items() for reason in reasons}
    assert made == {(kind, action) for kind, actions in ACTIONS.items() for action in actions}
    assert ("invoice.created", "below") not in judged
    assert ("invoice.updated", "recovered") not in made


def test_every_rejection_attempt_answer_and_end_is_there_at_zero() -> None:
    metrics = Metrics()
    expected = [
        *(("tollbell_dead_letters_total", {"reason": reason}) for reason in RejectReason),
        *(("tollbell_attempts_total", {"outcome": kind}) for kind in ("success", *OutcomeClass)),
        *(("tollbell_answers_total", {"status_class": kind}) for kind in ("1xx", "2xx", "3xx", "4xx", "5xx")),
        *(("tollbell_records_total", {"result": kind}) for kind in ("judged", "no_rule", "ignored", "dead_letter")),
        ("tollbell_deliveries_ended_total", {"state": "SUCCESS", "reason": "answered"}),
        *(
            ("tollbell_deliveries_ended_total", {"state": "FAILED", "reason": reason})
            for reason in ("attempts", "channel_disabled", "channel_deleted", "expired", "too_old")
        ),
    ]

    assert [(name, of) for name, of in expected if value(metrics, name, **of) != 0] == []


def test_a_gauge_that_nothing_was_heard_of_is_absent() -> None:
    samples = {family.name: family.samples for family in Metrics().registry.collect()}

    assert [name for name in UNKNOWN.split() if samples[name]] == []


def test_no_series_says_when_another_was_made() -> None:
    names = [line.partition("{")[0] for line in generate_latest(Metrics().registry).decode().splitlines()]

    assert [name for name in names if name.partition(" ")[0].endswith("_created")] == []


def test_every_metric_says_what_it_is_in_a_sentence() -> None:
    families = [one for one in Metrics().registry.collect() if one.name.startswith("tollbell_")]

    assert len(families) > 30
    assert [one.name for one in families if len(one.documentation.split()) < 5] == []


def test_what_postgres_does_not_say_is_absent_until_it_does() -> None:
    metrics = Metrics()
    metrics.outbox({"PENDING": 3}, 2, oldest=1.5, oldest_sendable=1.0, channels={"enabled": 4})
    metrics.channels_failing(["ch-1"])
    known = [value(metrics, "tollbell_deliveries", state=state) for state in ("PENDING", "SENDING")]

    metrics.outbox_unknown()

    assert known == [3, 0]
    assert value(metrics, "tollbell_outbox_due") is None
    assert value(metrics, "tollbell_outbox_oldest_sendable_age_seconds") is None
    assert labels(metrics, "tollbell_deliveries") == labels(metrics, "tollbell_channels") == set()
    assert labels(metrics, "tollbell_channel_failing") == set()


def test_a_look_that_hangs_leaves_nothing_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    metrics.outbox({}, 7, oldest=0, oldest_sendable=0, channels={})
    metrics.lag("usage", 0, 3, 1.0)
    later = clock.monotonic() + 21
    monkeypatch.setattr(clock, "monotonic", lambda: later)

    assert value(metrics, "tollbell_outbox_due") is None
    assert labels(metrics, "tollbell_consumer_lag") == labels(metrics, "tollbell_consumer_lag_seconds") == set()


def test_a_channel_fails_no_longer_than_it_is_said_to() -> None:
    metrics = Metrics()

    metrics.channels_failing(["ch-1", "ch-2"])
    metrics.channels_failing(["ch-2"])

    assert labels(metrics, "tollbell_channel_failing") == {("ch-2",)}


def test_readiness_shows_what_is_expected_and_what_else_fails() -> None:
    metrics, failing = Metrics(), {"consume": "Kafka: no answer", "sweep": "3 times in a row"}

    metrics.readiness(["start", "consume"], lambda: failing)
    before = {check: value(metrics, "tollbell_ready", check=check) for check in ("start", "consume", "sweep")}
    failing.clear()

    assert before == {"start": 1, "consume": 0, "sweep": 0}
    assert labels(metrics, "tollbell_ready") == {("start",), ("consume",)}
    assert value(metrics, "tollbell_ready", check="consume") == 1


def test_an_answer_counts_by_its_status_and_no_answer_does_not() -> None:
    metrics = Metrics()
    none = Outcome(kind=OutcomeClass.TIMEOUT, started_at=NOW, duration_ms=15_000)

    for outcome in (answered(204), answered(400), answered(404), answered(503), none):
        metrics.attempt(outcome, number=2, round=1, recorded_at=NOW)

    assert [value(metrics, "tollbell_answers_total", status_class=f"{n}xx") for n in range(1, 6)] == [0, 1, 0, 2, 1]
    assert value(metrics, "tollbell_attempts_total", outcome="status") == 3
    assert value(metrics, "tollbell_attempts_total", outcome="success") == 1
    assert value(metrics, "tollbell_attempts_total", outcome="timeout") == 1


def test_the_first_attempt_counts_from_its_start_failed_or_not() -> None:
    metrics = Metrics()
    slow = answered(503, after=2, took=14_000)

    metrics.attempt(slow, number=1, round=1, recorded_at=NOW)
    metrics.attempt(answered(200, after=60, took=1000), number=2, round=1, recorded_at=NOW)

    assert value(metrics, "tollbell_source_to_first_attempt_seconds_sum") == 2
    assert value(metrics, "tollbell_source_to_first_attempt_seconds_count") == 1
    assert value(metrics, "tollbell_source_to_webhook_seconds_sum") == 61
    assert value(metrics, "tollbell_attempt_duration_seconds_sum") == 15


def test_what_a_person_sends_again_has_no_way_from_its_record() -> None:
    metrics = Metrics()

    metrics.attempt(answered(200, after=86_400), number=2, round=2, recorded_at=NOW)

    assert value(metrics, "tollbell_source_to_webhook_seconds_count") == 0
    assert value(metrics, "tollbell_attempts_total", outcome="success") == 1


def test_what_is_counted_is_counted_in_its_series_alone() -> None:
    metrics = Metrics()

    metrics.judged("invoice.updated", "same_state", 3)
    metrics.events("entitlements.reset", "triggered", 2)
    metrics.ended("FAILED", "expired", 4)

    assert value(metrics, "tollbell_judgements_total", rule_type="invoice.updated", reason="same_state") == 3
    assert value(metrics, "tollbell_judgements_total", rule_type="invoice.updated", reason="late") == 0
    assert value(metrics, "tollbell_events_total", type="entitlements.reset", action="triggered") == 2
    assert value(metrics, "tollbell_deliveries_ended_total", state="FAILED", reason="expired") == 4
    assert value(metrics, "tollbell_deliveries_ended_total", state="FAILED", reason="too_old") == 0
