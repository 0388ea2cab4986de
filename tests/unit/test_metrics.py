"""Every series exists at zero before anything happens, so that a rate is right from the first one on."""

from prometheus_client import generate_latest

from consumer.decide.model import Reason
from consumer.decide.outcome import OutcomeClass
from consumer.metrics import Metrics
from schemas.events import Action, DeliveryState
from schemas.reading import RejectReason
from schemas.rules import RuleType

# Of the contract: the words stay, dashboards and alerts are built on them.
REASONS = """first_crossing rearmed recovered already_fired also_crossed below ignored_on_create no_allowance
no_balance late stale_period not_metered inactive deleted reset_manual reset_automatic already_reset same_period
invoice_created state_changed same_state status_not_wanted gathering duplicate rule_gone"""
TYPES = ("entitlements.balance.threshold", "entitlements.reset", "invoice.created", "invoice.updated")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_reasons_are_those_of_the_contract() -> None:
    assert [str(reason) for reason in Reason] == REASONS.split()
    assert tuple(RuleType) == TYPES


def test_every_reason_of_every_rule_type_exists_at_zero() -> None:
    metrics = Metrics()

    found = {
        (kind, reason): value(metrics, "tollbell_judgements_total", rule_type=kind, reason=reason)
        for kind in TYPES
        for reason in REASONS.split()
    }

    assert set(found.values()) == {0.0}


def test_every_event_rejection_attempt_and_state_exists_at_zero() -> None:
    metrics = Metrics()
    expected = [
        *(("tollbell_events_total", {"type": kind, "action": action}) for kind in TYPES for action in Action),
        *(("tollbell_dead_letters_total", {"reason": reason}) for reason in RejectReason),
        *(("tollbell_attempts_total", {"outcome": kind}) for kind in OutcomeClass),
        *(("tollbell_records_total", {"result": kind}) for kind in ("judged", "no_rule", "ignored", "dead_letter")),
        *(("tollbell_deliveries", {"state": state}) for state in ("PENDING", "SENDING", "RESENDING")),
        *(
            ("tollbell_channels", {"state": state})
            for state in ("enabled", "disabled_by_person", "disabled_by_tollbell")
        ),
    ]

    assert {name: value(metrics, name, **labels) for name, labels in expected} == {name: 0.0 for name, _ in expected}
    assert DeliveryState.SUCCESS not in str(generate_latest(metrics.registry))


def test_what_is_counted_is_counted_in_its_series_alone() -> None:
    metrics = Metrics()

    metrics.judged("invoice.updated", "same_state", 3)
    metrics.events("entitlements.reset", "triggered", 2)

    assert value(metrics, "tollbell_judgements_total", rule_type="invoice.updated", reason="same_state") == 3
    assert value(metrics, "tollbell_judgements_total", rule_type="invoice.created", reason="same_state") == 0
    assert value(metrics, "tollbell_events_total", type="entitlements.reset", action="triggered") == 2
