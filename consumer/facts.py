"""A gauge of what may be unknown: a series is there while its value is known, and absent otherwise; never a stale 0."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from consumer import clock

Value = float | Callable[[], float]


class FactGauge(Collector):
    """A gauge, whose series come and go.

    Args:
        name: of the metric.
        text: what it is, for a stranger.
        labels: their names.
        lasts: seconds after which a value that was not set again is no longer known: its source hangs.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
        lasts: float = math.inf,
    ) -> None:
        self._name: Final = name
        self._text: Final = text
        self._labelnames: Final = tuple(labels)
        self._lasts: Final = lasts
        self._known: dict[tuple[str, ...], tuple[Value, float]] = {}
        registry.register(self)

    def set(self, value: Value, *labels: str) -> None:
        """Let the series of *labels* have *value*; one that is called is asked with each scrape."""
        self._known[labels] = (value, clock.monotonic())

    def replace(self, values: Mapping[tuple[str, ...], Value]) -> None:
        """Let there be the series of *values*, and no others."""
        now = clock.monotonic()
        self._known = {labels: (value, now) for labels, value in values.items()}

    def forget(self, *labels: str) -> None:
        """Let the series of *labels* be absent."""
        self._known.pop(labels, None)

    def clear(self) -> None:
        """Let all series be absent."""
        self._known.clear()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the family without a series: the registry refuses a second one of its name."""
        yield self._family()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return what is known now."""
        family, now = self._family(), clock.monotonic()
        for labels, (value, at) in sorted(self._known.items()):
            if now - at <= self._lasts:
                family.add_metric(labels, value() if callable(value) else value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=self._labelnames)
