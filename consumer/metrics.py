"""What is measured, under the names that stay (`product.md` 9).

Labels are finite. A counter's series exist at zero, so that a rate is right from the first one on; but for those that
name an operation of the API or a statement: of more than a hundred, a replica has those that it has run. A gauge that
can't be known is absent. An idle replica shows at most 250 series; `tests/integration/serve/test_metrics.py` counts
them.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from consumer import clock
from consumer.collectors import Errors, Ready
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.rules import ACTIONS, REASONS
from consumer.facts import FactGauge
from schemas.events import DeliveryState
from schemas.reading import RejectReason

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each of the others, which no query of ours needs

RECORD_RESULTS: Final = ("judged", "no_rule", "ignored", "dead_letter")
OPEN_STATES: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RESENDING)
CHANNEL_STATES: Final = ("enabled", "paused", "disabled_by_person", "disabled_by_tollbell")
ROWS: Final = ("period_end", "delivery", "delivery_end", "job")  # what is set aside where Postgres fails it
SIGN_INS: Final = ("accepted", "wrong", "refused")
REMOVED: Final = ("partition", "delivery", "event", "entitlement", "invoice", "identity", "job", "replica", "template")
ATTEMPT_OUTCOMES: Final = ("success", *(kind.value for kind in OutcomeClass))
# Of each question for a receiver's consent: it consents, answers without consenting, or cannot be asked.
CONSENTS: Final = ("granted", "refused", "unanswered")
STATUS_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
# How deliveries end, and why: `answered` and `attempts` say that an attempt ended them, which its outcome explains.
ENDS: Final = (
    (DeliveryState.SUCCESS, "answered"),
    *(
        (DeliveryState.FAILED, reason)
        for reason in ("attempts", "channel_disabled", "channel_deleted", "expired", "too_old")
    ),
)
# Measured p50 of receivers nearby is 10 to 50 ms, of services on the internet 100 to 500; 15 s is the default deadline.
_ATTEMPT_SECONDS: Final = (0.025, 0.1, 0.25, 1, 2.5, 5, 15)
# Measured p50 is 5 to 30 ms, p99 12 to 500, under overload 2.5 s; 60 is the alert's objective, 300 a breaker's longest
# pause and the third attempt, one and ten hours the schedule's longest steps.
_FIRST_ATTEMPT_SECONDS: Final = (0.01, 0.05, 0.25, 1, 5, 30, 60, 300)
_SOURCE_SECONDS: Final = (*_FIRST_ATTEMPT_SECONDS, 3600, 36000)
_LOOK_LASTS: Final = 20.0  # seconds; each look is one of every 5: three are missing, and what was seen is history
_RETENTION_LASTS: Final = 1000.0  # likewise of every 300


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._ready = Ready()
        self.registry.register(Errors())
        self.registry.register(self._ready)
        self._of_the_process()
        self._of_records()
        self._of_deliveries()
        self._of_postgres()
        self._of_retention()
        self._zero()

    def _of_the_process(self) -> None:
        self._build = self._fact(
            "tollbell_build_info",
            "Always 1; its labels say which release this is, which schema it was made for, and on which Python it runs",
            ["version", "schema", "python"],
        )
        self._catalog_age = self._fact(
            "tollbell_catalog_age_seconds",
            "Seconds since this process last made sure that it judges by the rules as they are now",
        )
        self._api = self._counter(
            "tollbell_api_requests",
            "Requests that this process' API has answered, by operation and class of the HTTP status",
            ["operation", "status"],
        )
        self._sign_ins = self._counter(
            "tollbell_console_sign_ins",
            "Attempts to sign in to this process' console: accepted, wrong, or refused as too many were wrong at once",
            ["result"],
        )

    def _of_records(self) -> None:
        self._records = self._counter(
            "tollbell_records",
            "Records of Kafka taken to their effects: judged, covered by no_rule, ignored as not ours, or dead_letter",
            ["result"],
        )
        self._judgements = self._counter(
            "tollbell_judgements",
            "Judgements of a record by a threshold or rule, by the reason for which it did or did not notify",
            ["rule_type", "reason"],
        )
        self._events = self._counter(
            "tollbell_events",
            "Notification events made, each to be sent to every channel of its rule",
            ["type", "action"],
        )
        self._dead_letters = self._counter(
            "tollbell_dead_letters",
            "Records that could not be understood or stored, and were put into the dead-letter topic instead",
            ["reason"],
        )
        self._offsets_lost = self._counter(
            "tollbell_offsets_lost",
            "Partitions read again from their earliest record, because they are new or Kafka lost their offset",
        )
        self._lag = self._seen(
            "tollbell_consumer_lag",
            "Records in Kafka that are not yet taken, of the partitions that this process reads",
            ["topic", "partition"],
        )
        self._lag_seconds = self._seen(
            "tollbell_consumer_lag_seconds",
            "Age of the oldest record in Kafka that is not yet taken; 0 while there is none",
            ["topic", "partition"],
        )
        self._last_record = self._fact(
            "tollbell_last_record_timestamp_seconds",
            "Kafka's timestamp of the newest record that this process has taken, in Unix seconds",
            ["topic"],
        )
        self._held = Gauge(
            "tollbell_partitions_held",
            "Partitions that this process cannot read on, because a batch of records in Kafka is damaged",
            registry=self.registry,
        )

    def _of_deliveries(self) -> None:
        self._attempts = self._counter(
            "tollbell_attempts",
            "Webhook requests, by what happened: success, an answer that is no 2xx (status), or why there was none",
            ["outcome"],
        )
        self._answers = self._counter(
            "tollbell_answers", "Answers of receivers, by class of their HTTP status", ["status_class"]
        )
        self._consents = self._counter(
            "tollbell_consents_asked",
            "Receivers asked whether they may be sent to (requestOrigin): granted, refused, or unanswered, by an"
            " error, a 429 or a 5xx",
            ["result"],
        )
        self._ended = self._counter(
            "tollbell_deliveries_ended",
            "Deliveries (an event for a channel) that ended: SUCCESS, or FAILED, which is never sent again by itself",
            ["state", "reason"],
        )
        self._attempt_seconds = self._histogram(
            "tollbell_attempt_duration_seconds",
            "How long a webhook request took: resolve, connect, send, and read the start of the answer",
            _ATTEMPT_SECONDS,
        )
        self._first_attempt_seconds = self._histogram(
            "tollbell_source_to_first_attempt_seconds",
            "From Kafka's timestamp of a record to the moment at which its first webhook request began; how slow the"
            " receiver is does not count",
            _FIRST_ATTEMPT_SECONDS,
        )
        self._source_seconds = self._histogram(
            "tollbell_source_to_webhook_seconds",
            "From Kafka's timestamp of a record to the receiver's 2xx, retries included; of what was sent again on"
            " demand nothing is counted",
            _SOURCE_SECONDS,
        )

    def _of_postgres(self) -> None:
        self._statement_seconds = Summary(
            "tollbell_postgres_statement_seconds",
            "How long statements took from being sent to Postgres to its answer or failure, by module and name",
            ["statement"],
            registry=self.registry,
        )
        self._rows_failed = self._counter(
            "tollbell_rows_failed",
            "Rows that are left alone for a while, because Postgres fails a statement for each of them",
            ["what"],
        )
        self._deliveries = self._seen("tollbell_deliveries", "Deliveries in the database, not ended yet", ["state"])
        self._due = self._seen("tollbell_outbox_due", "Deliveries in the database that are due, a paused channel's too")
        self._oldest = self._seen(
            "tollbell_outbox_oldest_due_age_seconds",
            "For how long the delivery that is due longest has been due, a paused channel's too; 0 while none is",
        )
        self._oldest_sendable = self._seen(
            "tollbell_outbox_oldest_sendable_age_seconds",
            "For how long the oldest delivery has been due of those whose channel is not paused; 0 while none is",
        )
        self._channels = self._seen("tollbell_channels", "Channels in the database, by state", ["state"])
        self._failing = self._seen(
            "tollbell_channel_failing",
            "1 for a channel whose last attempts have failed, until one succeeds or it is disabled; at most 100 of"
            " them, those that fail longest",
            ["channel_id"],
        )

    def _of_retention(self) -> None:
        self._removed = self._counter(
            "tollbell_retention_removed",
            "Partitions and rows removed from the database, because their retention has passed",
            ["what"],
        )
        self._keep = self._fact(
            "tollbell_retention_seconds",
            "How long ended events are to be kept (TOLLBELL_RETENTION)",
            lasts=_RETENTION_LASTS,
        )
        self._oldest_partition = self._fact(
            "tollbell_retention_oldest_partition_age_seconds",
            "Age of the oldest partition of events",
            lasts=_RETENTION_LASTS,
        )
        self._ahead = self._fact(
            "tollbell_retention_partitions_ahead",
            "Partitions that are ready for events of coming weeks: 2 while all is well",
            lasts=_RETENTION_LASTS,
        )

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, tuple(labels), registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def _fact(self, name: str, text: str, labels: Iterable[str] = (), *, lasts: float = float("inf")) -> FactGauge:
        return FactGauge(name, text, tuple(labels), registry=self.registry, lasts=lasts)

    def _seen(self, name: str, text: str, labels: Iterable[str] = ()) -> FactGauge:
        return self._fact(name, text, labels, lasts=_LOOK_LASTS)

    def _zero(self) -> None:
        for counter, values in (
            (self._records, RECORD_RESULTS),
            (self._dead_letters, tuple(reason.value for reason in RejectReason)),
            (self._attempts, ATTEMPT_OUTCOMES),
            (self._answers, STATUS_CLASSES),
            (self._consents, CONSENTS),
            (self._rows_failed, ROWS),
            (self._sign_ins, SIGN_INS),
            (self._removed, REMOVED),
        ):
            for value in values:
                counter.labels(value)
        # Looked up once: it is done for every attempt.
        self._of_outcome = {outcome: self._attempts.labels(outcome) for outcome in ATTEMPT_OUTCOMES}
        self._of_class = [self._answers.labels(status_class) for status_class in STATUS_CLASSES]
        for state, why in ENDS:
            self._ended.labels(state.value, why)
        for rule_type, reasons in REASONS.items():
            for reason in reasons:
                self._judgements.labels(rule_type.value, reason.value)
            for action in ACTIONS[rule_type]:
                self._events.labels(rule_type.value, action.value)

    def build(self, *, version: str, schema: str, python: str) -> None:
        """Say which release this is."""
        self._build.set(1, version, schema, python)

    def readiness(self, names: Iterable[str], failing: Callable[[], Mapping[str, str]]) -> None:
        """Show each check of *names*, and what else *failing* returns, which is asked with each scrape."""
        self._ready.names, self._ready.failing = frozenset(names), failing

    def records(self, result: str, count: int) -> None:
        """Count records taken to their effects."""
        self._records.labels(result).inc(count)

    def newest_record(self, topic: str, seconds: float) -> None:
        """Set Kafka's timestamp (Unix seconds) of the newest record taken of *topic*."""
        self._last_record.set(seconds, topic)

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

    def attempt(self, outcome: Outcome, *, number: int, round: int, recorded_at: datetime) -> None:  # noqa: A002 - the word of the table
        """Count an attempt and its answer, and how long after its record it began and succeeded.

        Args:
            outcome: how it ended.
            number: of the attempt; 1 is the delivery's first.
            round: of the delivery; what a person had sent again has no way from its record.
            recorded_at: Kafka's timestamp of the record.
        """
        self._of_outcome["success" if outcome.is_success else outcome.kind.value].inc()
        seconds = outcome.duration_ms / 1000
        self._attempt_seconds.observe(seconds)
        if outcome.status is not None:
            self._of_class[outcome.status // 100 - 1].inc()
        began = max((outcome.started_at - recorded_at).total_seconds(), 0.0)
        if number == 1:
            self._first_attempt_seconds.observe(began)
        if outcome.is_success and round == 1:
            self._source_seconds.observe(began + seconds)

    def interrupted(self, count: int) -> None:
        """Count attempts whose sender died: how long they took is unknown."""
        self._attempts.labels(OutcomeClass.INTERRUPTED.value).inc(count)

    def consent(self, result: str) -> None:
        """Count a question for a receiver's consent, by how it ended."""
        self._consents.labels(result).inc()

    def ended(self, state: str, reason: str, count: int) -> None:
        """Count deliveries that ended."""
        self._ended.labels(state, reason).inc(count)

    def api(self, operation: str, status: int) -> None:
        """Count a request of the API, by the class of its status."""
        self._api.labels(operation, f"{status // 100}xx").inc()

    def signed_in(self, result: str) -> None:
        """Count an attempt to sign in to the console."""
        self._sign_ins.labels(result).inc()

    def lag(self, topic: str, partition: int, records: int, seconds: float | None) -> None:
        """Set a partition's lag in records and, where that is known, the age of the oldest of them."""
        self._lag.set(records, topic, str(partition))
        if seconds is None:
            self._lag_seconds.forget(topic, str(partition))
        else:
            self._lag_seconds.set(seconds, topic, str(partition))

    def lag_unknown(self, topic: str, partition: int) -> None:
        """Show no lag of a partition: it is not ours any more, or Kafka does not say."""
        self._lag.forget(topic, str(partition))
        self._lag_seconds.forget(topic, str(partition))

    def held(self, partitions: int) -> None:
        """Set how many of our partitions cannot be read on."""
        self._held.set(partitions)

    def catalog_checked(self, at: float) -> None:
        """Let the catalog's age grow from *at* (monotonic seconds)."""
        self._catalog_age.set(lambda: clock.monotonic() - at)

    def statement(self, name: str, seconds: float) -> None:
        """Observe how long the statement *name* took."""
        self._statement_seconds.labels(name).observe(seconds)

    def outbox(
        self, states: dict[str, int], due: int, *, oldest: float, oldest_sendable: float, channels: dict[str, int]
    ) -> None:
        """Set the gauges of what the tables hold; for how long the oldest delivery has been due, in seconds."""
        self._deliveries.replace({(state.value,): states.get(state.value, 0) for state in OPEN_STATES})
        self._due.set(due)
        self._oldest.set(oldest)
        self._oldest_sendable.set(oldest_sendable)
        self._channels.replace({(state,): channels.get(state, 0) for state in CHANNEL_STATES})

    def channels_failing(self, channel_ids: Iterable[str]) -> None:
        """Show these channels as failing, and no others."""
        self._failing.replace({(channel_id,): 1 for channel_id in channel_ids})

    def outbox_unknown(self) -> None:
        """Show nothing of what the tables hold: Postgres does not say."""
        oldest = (self._oldest, self._oldest_sendable)
        for fact in (self._deliveries, self._due, *oldest, self._channels, self._failing):
            fact.clear()

    def removed(self, what: str, count: int) -> None:
        """Count what retention has removed."""
        self._removed.labels(what).inc(count)

    def row_failed(self, what: str) -> None:
        """Count a row that was set aside."""
        self._rows_failed.labels(what).inc()

    def partitions(self, oldest_seconds: float | None, ahead: int, *, keep_seconds: float) -> None:
        """Set the gauges of the partitions; None: there is none."""
        self._keep.set(keep_seconds)
        self._ahead.set(ahead)
        if oldest_seconds is None:
            self._oldest_partition.clear()
        else:
            self._oldest_partition.set(oldest_seconds)
