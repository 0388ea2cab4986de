"""Metrics that are asked for with each scrape, rather than counted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from consumer import log


class Errors(Collector):
    """Counts what was logged for a person to act on: an alert that no new kind of error passes by."""

    _name: Final = "tollbell_errors_total"

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the one series; the log says which error, and of what."""
        text = "Errors in this process' log; each line says what is wrong, and needs a person"
        yield CounterMetricFamily(self._name, text, value=log.ERRORS.total())


class Ready(Collector):
    """Shows the checks of /readyz: those that are expected, and any other that fails."""

    _name: Final = "tollbell_ready"
    _labelnames: Final = ("check",)

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self.failing: Callable[[], Mapping[str, str]] = dict

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask each check now."""
        text = "1 while this check of /readyz passes, 0 while it fails (/readyz says why)"
        family, failing = GaugeMetricFamily(self._name, text, labels=self._labelnames), self.failing()
        for name in sorted({*self.names, *failing}):
            family.add_metric([name], float(name not in failing))
        yield family
