"""What panels are made of: a title, an explanation, a unit, and expressions put together from a few patterns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OURS: Final = 'job=~"$job", instance=~"$instance"'
# Units as Grafana names them.
SECONDS, PER_SECOND, COUNT, RATIO, BYTES = "s", "ops", "short", "percentunit", "bytes"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        kind: of Grafana: `timeseries`, `stat` or `heatmap`.
        red: from where on a `stat` is red; None: never.
        red_below: below which it is red instead.
    """

    title: str
    text: str
    unit: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    red: float | None = None
    red_below: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


def series(title: str, text: str, unit: str, *queries: Query, width: int = 8) -> Panel:
    """Return a panel of lines over time."""
    return Panel(title=title, text=text, unit=unit, queries=queries, width=width)


def stat(
    title: str, text: str, unit: str, expr: str, *, red: float | None = None, red_below: float | None = None
) -> Panel:
    """Return a panel of one number."""
    return Panel(title=title, text=text, unit=unit, queries=[Query(expr)], kind="stat", width=3, height=4, red=red,
                 red_below=red_below)  # fmt: skip


def rate(metric: str, by: str = "", only: str = "") -> str:
    """Return the rate of a counter a second, summed over the replicas, *by* labels."""
    grouped = f" by ({by})" if by else ""
    selected = f"{OURS}, {only}" if only else OURS
    return f"sum{grouped} (rate({metric}{{{selected}}}[$__rate_interval]))"


def grew(metric: str, window: str, by: str = "", only: str = "") -> str:
    """Return by how much a counter has grown in *window*."""
    return rate(metric, by, only).replace("rate(", "increase(").replace("$__rate_interval", window)


def greatest(metric: str, by: str = "", only: str = "") -> str:
    """Return a gauge's greatest value: what looks at the whole database is the same in every replica."""
    grouped = f" by ({by})" if by else ""
    selected = f"{OURS}, {only}" if only else OURS
    return f"max{grouped} ({metric}{{{selected}}})"


def quantiles(metric: str) -> tuple[Query, ...]:
    """Return the median and two high quantiles of a histogram."""
    buckets = rate(f"{metric}_bucket", "le")
    return tuple(Query(f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}") for q in (0.5, 0.9, 0.99))


def within_a_minute() -> str:
    """Return which share of first attempts began within a minute of their record."""
    metric = "tollbell_source_to_first_attempt_seconds"
    in_time = rate(f"{metric}_bucket", only='le="60.0"')
    return f"{in_time} / {rate(f'{metric}_count')}"


def succeeded() -> str:
    """Return which share of the deliveries that ended succeeded."""
    ended = "tollbell_deliveries_ended_total"
    good = rate(ended, only='state="SUCCESS"')
    return f"{good} / {rate(ended)}"
