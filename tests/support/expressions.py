"""What an expression of Prometheus names, compared with what a replica has: metrics, labels and their values."""

import re
from collections import defaultdict
from collections.abc import Mapping

from consumer.metrics import CHANNEL_STATES, Metrics
from consumer.serve.role import OPERATIONS
from consumer.store import queries

Known = Mapping[str, Mapping[str, set[str]]]  # series name → label → values
# A series is a name with a selector in braces or without; all others are functions, keywords, labels or durations.
_SERIES = re.compile(r"\b((?:tollbell|process)_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_OF_THE_SCRAPE = {"job", "instance"}
_OPEN = {"topic", "partition", "channel_id", "version", "schema", "python"}  # whose values are not ours to list


def known() -> Known:
    """Return what /metrics has once everything has happened."""
    metrics = Metrics()
    metrics.build(version="1", schema="2", python="3")
    metrics.readiness(["start", "postgres", "kafka", "consume", "catalog", "period-ends", "deliver"], dict)
    metrics.lag("usage", 0, 1, 1.0)
    metrics.newest_record("usage", 1.0)
    metrics.catalog_checked(0.0)
    metrics.outbox({}, 0, oldest=0, oldest_sendable=0, channels=dict.fromkeys(CHANNEL_STATES, 0))
    metrics.channels_failing(["ch-1"])
    metrics.partitions(1.0, 2, keep_seconds=1.0)
    for statement in queries.names():
        metrics.statement(statement, 0.1)
    for operation in OPERATIONS:
        metrics.api(operation.name, 200)
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in metrics.registry.collect():
        for sample in family.samples:
            of_series = found[sample.name]
            for label, value in sample.labels.items():
                of_series[label].add(value)
    return found


def faults(expression: str, registry: Known) -> list[str]:
    """Return what *expression* names that is not there: a metric, a label of it, or a value that no series has."""
    wrong: list[str] = []
    labels = set(_OF_THE_SCRAPE)
    for name, selector in _SERIES.findall(expression):
        if name not in registry:
            wrong.append(f"no metric {name}")
            continue
        labels |= registry[name].keys()
        for label, operator, value in _MATCHER.findall(selector):
            if label in _OF_THE_SCRAPE:
                continue
            if label not in registry[name]:
                wrong.append(f"{name} has no label {label}")
            elif label not in _OPEN and not _matches(operator, value, registry[name][label]):
                wrong.append(f"{name} has no {label}{operator}{value!r}")
    grouped = {label.strip() for found in _GROUPED.findall(expression) for label in found.split(",")}
    return wrong + [f"no series of it has the label {label}" for label in sorted(grouped - labels)]


def _matches(operator: str, value: str, values: set[str]) -> bool:
    return any(re.fullmatch(value, one) for one in values) if "~" in operator else value in values
