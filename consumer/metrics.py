"""What is measured, under the names that stay (`product.md` 9). Labels are finite; series exist at zero."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from consumer import clock, log
from consumer.decide.model import Reason
from consumer.decide.outcome import OutcomeClass
from schemas.events import Action, DeliveryState
from schemas.reading import RejectReason
from schemas.rules import RuleType

RECORD_RESULTS: Final = ("judged", "no_rule", "ignored", "dead_letter")
OPEN_STATES: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RESENDING)
CHANNEL_STATES: Final = ("enabled", "paused", "disabled_by_person", "disabled_by_tollbell")
ROWS: Final = ("period_end", "delivery", "delivery_end", "job")  # what is set aside where Postgres fails it
REMOVED: Final = ("partition", "delivery", "event", "entitlement", "invoice", "identity", "job")
API_STATUSES: Final = ("2xx", "4xx", "5xx")
ATTEMPT_OUTCOMES: Final = ("success", *(kind.value for kind in OutcomeClass))
_ATTEMPT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_SOURCE_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36000)


class _Errors(Collector):
    """Counts what was logged for a person to act on: an alert that no new kind of error passes by."""

    _name: Final = "tollbell_errors_total"

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the one series; the log says which error, and of what."""
        yield CounterMetricFamily(self._name, "Lines of level error: a person must act", value=log.ERRORS.total())


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._records = self._counter("tollbell_records", "Records taken to their effects", ["result"])
        self._judgements = self._counter(
            "tollbell_judgements", "Judgements of thresholds, by reason", ["rule_type", "reason"]
        )
        self._events = self._counter("tollbell_events", "Notification events made", ["type", "action"])
        self._dead_letters = self._counter("tollbell_dead_letters", "Records dead-lettered", ["reason"])
        self._attempts = self._counter("tollbell_attempts", "Webhook requests, by how they ended", ["outcome"])
        self._api = self._counter("tollbell_api_requests", "Requests of the API", ["operation", "status"])
        self._offsets_lost = self._counter(
            "tollbell_offsets_lost", "Partitions begun at their earliest record: new ones, or their offset was lost", []
        )
        self._attempt_seconds = Histogram(
            "tollbell_attempt_duration_seconds",
            "One attempt: resolve, connect, send, bounded body",
            buckets=_ATTEMPT_SECONDS,
            registry=self.registry,
        )
        self._source_seconds = Histogram(
            "tollbell_source_to_webhook_seconds",
            "From Kafka's timestamp of the record to the receiver's 2xx",
            buckets=_SOURCE_SECONDS,
            registry=self.registry,
        )
        self._deliveries = self._gauge("tollbell_deliveries", "Open deliveries", ["state"])
        self._due = self._gauge("tollbell_outbox_due", "Deliveries that may be claimed now", [])
        self._oldest = self._gauge("tollbell_outbox_oldest_due_age_seconds", "How long the oldest of them is due", [])
        self._lag = self._gauge("tollbell_consumer_lag", "Records not yet taken", ["topic", "partition"])
        self._held = self._gauge("tollbell_partitions_held", "Partitions that cannot be read on", [])
        self._catalog_age = self._gauge(
            "tollbell_catalog_age_seconds", "Since the rules were last known to be current", []
        )
        self.registry.register(_Errors())
        self._rows_failed = self._counter(
            "tollbell_rows_failed", "Rows set aside for a while, as Postgres fails a statement for each alone", ["what"]
        )
        for what in ROWS:
            self._rows_failed.labels(what)
        self._channels = self._gauge("tollbell_channels", "Channels", ["state"])
        self._removed = self._counter("tollbell_retention_removed", "Removed, as its retention has passed", ["what"])
        self._oldest_partition = self._gauge(
            "tollbell_retention_oldest_partition_age_seconds", "Since the start of the oldest partition of events", []
        )
        self._ahead = self._gauge("tollbell_retention_partitions_ahead", "Partitions made for what is to come", [])
        self._zero()

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _zero(self) -> None:
        for result in RECORD_RESULTS:
            self._records.labels(result)
        for rule_type in RuleType:
            for reason in Reason:
                self._judgements.labels(rule_type.value, reason.value)
            for action in Action:
                self._events.labels(rule_type.value, action.value)
        for rejected in RejectReason:
            self._dead_letters.labels(rejected.value)
        for outcome in ATTEMPT_OUTCOMES:
            self._attempts.labels(outcome)
        for open_state in OPEN_STATES:
            self._deliveries.labels(open_state.value)
        for channel_state in CHANNEL_STATES:
            self._channels.labels(channel_state)
        for what in REMOVED:
            self._removed.labels(what)

    def records(self, result: str, count: int) -> None:
        """Count records taken to their effects."""
        self._records.labels(result).inc(count)

    def judged(self, rule_type: str, reason: str, count: int) -> None:
        """Count judgements."""
        self._judgements.labels(rule_type, reason).inc(count)

    def events(self, rule_type: str, action: str, count: int) -> None:
        """Count events made."""
        self._events.labels(rule_type, action).inc(count)

    def dead_letters(self, reason: str, count: int) -> None:
        """Count dead letters."""
        self._dead_letters.labels(reason).inc(count)

    def offset_lost(self) -> None:
        """Count a partition that was begun at its earliest record."""
        self._offsets_lost.inc()

    def attempt(self, outcome: str, seconds: float) -> None:
        """Count an attempt and its duration."""
        self._attempts.labels(outcome).inc()
        self._attempt_seconds.observe(seconds)

    def interrupted(self, count: int) -> None:
        """Count attempts whose sender died: nobody knows how long they took."""
        self._attempts.labels(OutcomeClass.INTERRUPTED.value).inc(count)

    def serves(self, operations: Iterable[str]) -> None:
        """Make the series of the API's *operations*, at zero."""
        for operation in operations:
            for status in API_STATUSES:
                self._api.labels(operation, status)

    def api(self, operation: str, status: int) -> None:
        """Count a request of the API, by the class of its status."""
        self._api.labels(operation, f"{status // 100}xx").inc()

    def arrived(self, seconds: float) -> None:
        """Observe the way of a record to its webhook's 2xx."""
        self._source_seconds.observe(seconds)

    def lag(self, topic: str, partition: int, records: int | None) -> None:
        """Set a partition's lag; None: it is not ours any more."""
        if records is None:
            self._lag.remove(topic, str(partition))
        else:
            self._lag.labels(topic, str(partition)).set(records)

    def held(self, partitions: int) -> None:
        """Set how many of our partitions cannot be read on."""
        self._held.set(partitions)

    def catalog_checked(self, at: float) -> None:
        """Let the catalog's age grow from *at* (monotonic seconds)."""
        self._catalog_age.set_function(lambda: clock.monotonic() - at)

    def outbox(self, states: dict[str, int], due: int, oldest_seconds: float, channels: dict[str, int]) -> None:
        """Set the gauges of what the tables hold."""
        for open_state in OPEN_STATES:
            self._deliveries.labels(open_state.value).set(states.get(open_state.value, 0))
        self._due.set(due)
        self._oldest.set(oldest_seconds)
        for channel_state in CHANNEL_STATES:
            self._channels.labels(channel_state).set(channels.get(channel_state, 0))

    def removed(self, what: str, count: int) -> None:
        """Count what retention has removed."""
        self._removed.labels(what).inc(count)

    def row_failed(self, what: str) -> None:
        """Count a row that was set aside."""
        self._rows_failed.labels(what).inc()

    def partitions(self, oldest_seconds: float, ahead: int) -> None:
        """Set the gauges of the partitions."""
        self._oldest_partition.set(oldest_seconds)
        self._ahead.set(ahead)
