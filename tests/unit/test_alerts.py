"""Each alert fires when it should and stays silent when it should not, by Prometheus' own tool; and has its runbook."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.serve.role import document
from consumer.store import queries
from tests.observability.scraping import faster
from tests.support import prometheus
from tests.support.expressions import faults, known

ALERTS = prometheus.alerts()
RUNBOOKS = (prometheus.ROOT / "docs/runbooks.md").read_text()
HEADINGS = re.findall(r"^## (.*)$", RUNBOOKS, re.MULTILINE)
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
DAY = 24 * 60
FIRST = "tollbell_source_to_first_attempt_seconds"
STATEMENT = "tollbell_postgres_statement_seconds"


# Modules whose statements no record and no delivery waits for.
MAY_BE_SLOW = [
    "configuration",
    "database",
    "features",
    "flags",
    "history",
    "jobs",
    "levels",
    "offsets",
    "overview",
    "replicas",
    "retention",
]


@dataclass(frozen=True)
class Case:
    """Series of a scrape each minute, by which an alert fires at *at*; and such by which it never does until then.

    Values as promtool has them: `0x5 1+2x10` is six zeros, then 1, 3, 5 and so on; `_` is no sample.
    """

    fires: dict[str, str]
    silent: dict[str, str]
    at: int  # minutes


def series(name: str, **labels: str) -> str:
    selected = ",".join(f'{label}="{value}"' for label, value in {"job": "tollbell", "instance": "a", **labels}.items())
    return f"{name}{{{selected}}}"


def first_attempts(late: str, all_of_them: str) -> dict[str, str]:
    return {series(f"{FIRST}_bucket", le="60.0"): late, series(f"{FIRST}_count"): all_of_them}


BUILD = series("tollbell_build_info")
UP = series("up")
OTHER_REPLICA = series("tollbell_build_info", instance="b")
OTHER_BUILD = series("tollbell_build_info", job="other")
BEGAN = series("process_start_time_seconds")
READY = series("tollbell_ready", check="consume")
OTHER_READY = series("tollbell_ready", check="consume", instance="b")
DELIVERS = series("tollbell_ready", check="deliver", instance="b")
AGE = series("tollbell_consumer_lag_seconds", topic="usage", partition="0")
LAST = series("tollbell_last_record_timestamp_seconds", topic="usage")
LAG = series("tollbell_consumer_lag", topic="usage", partition="0")
OLDEST = series("tollbell_outbox_oldest_sendable_age_seconds")
DUE = series("tollbell_outbox_oldest_due_age_seconds")
PAUSED = series("tollbell_channels", state="paused")
DISABLED = series("tollbell_channels", state="disabled_by_tollbell")
GAVE_UP = series("tollbell_deliveries_ended_total", state="FAILED", reason="attempts")
DELETED = series("tollbell_deliveries_ended_total", state="FAILED", reason="channel_deleted")
DELIVERED = series("tollbell_deliveries_ended_total", state="SUCCESS", reason="answered")
FAILING = series("tollbell_channel_failing", channel_id="ch-1")
JUDGED = series("tollbell_records_total", result="judged")
LETTERS = series("tollbell_dead_letters_total", reason="invalid")
ERRORS = series("tollbell_errors_total")
HELD = series("tollbell_partitions_held")
LOST = series("tollbell_offsets_lost_total")
CATALOG = series("tollbell_catalog_age_seconds")
AHEAD = series("tollbell_retention_partitions_ahead")
OLDEST_PARTITION = series("tollbell_retention_oldest_partition_age_seconds")
KEEP = series("tollbell_retention_seconds")
TOOK = {"_sum": series(f"{STATEMENT}_sum", statement="outbox/write"),
        "_count": series(f"{STATEMENT}_count", statement="outbox/write")}  # fmt: skip
PAGE = {"_sum": series(f"{STATEMENT}_sum", statement="history/by_event"),
        "_count": series(f"{STATEMENT}_count", statement="history/by_event")}  # fmt: skip

CASES = {
    "TollbellAbsent": Case({series("up"): "0x20"}, {BUILD: "1x20"}, 6),
    # One of two of its job; and one that is alone, which is another alert's.
    "TollbellReplicaGone": Case({UP: "1x3 0x20", OTHER_REPLICA: "1x20"}, {UP: "1x3 0x20", BUILD: "1x3 stale"}, 9),
    # All that consume are gone, one that delivers is there; and one of two that consume.
    "TollbellRoleGone": Case(
        {READY: "1x3 stale", DELIVERS: "1x20", OTHER_REPLICA: "1x20"},
        {READY: "1x3 stale", OTHER_READY: "1x20", DELIVERS: "1x20", OTHER_REPLICA: "1x20"},
        10,
    ),
    # Every six minutes; and two releases in half an hour.
    "TollbellRestarting": Case(
        {BUILD: "1x40", BEGAN: "0x5 360x5 720x5 1080x5 1440x10"}, {BUILD: "1x40", BEGAN: "0x5 300x9 900x30"}, 26
    ),
    # A restart of two minutes is no outage.
    "TollbellNotReady": Case({READY: "1x3 0x10"}, {READY: "1x3 0x1 1x8"}, 8),
    # As good as the age itself: that nothing is known of it. Of a replica that does not consume, nothing need be.
    "TollbellLagSeconds": Case(
        {READY: "1x10", AGE: "0 60 120 180 240 300 360+60x10"}, {READY: "1x10", AGE: "290x10"}, 8
    ),
    # More records than a thousand, as long as they become fewer, are a backlog that is worked off.
    "TollbellLagGrowing": Case({LAG: "2000+100x60"}, {LAG: "90000-1000x60"}, 59),
    # Though a channel is paused: what waits for that is in the other gauge.
    "TollbellOutboxOld": Case({OLDEST: "0+60x10", PAUSED: "1x10"}, {DUE: "0+60x10", PAUSED: "1x10", OLDEST: "0x10"}, 6),
    # One in four late, of 10 a minute; and one in twenty.
    "TollbellFirstAttemptLate": Case(
        first_attempts("0+7.5x90", "0+10x90"), first_attempts("0+9.5x90", "0+10x90"), 90
    ),
    "TollbellDeliveriesFailed": Case(
        {GAVE_UP: "0x5 1x10"}, {GAVE_UP: "3x15", DELETED: "0+1x15", DELIVERED: "0+9x15"}, 8
    ),
    # Retried with success within five minutes.
    "TollbellChannelFailing": Case({FAILING: "_x2 1x10"}, {FAILING: "_x2 1x3 _x10"}, 9),
    "TollbellChannelDisabled": Case({DISABLED: "0x3 1x10"}, {DISABLED: "0x13"}, 5),
    # Nothing in the last hour; and nothing ever.
    "TollbellNoRecords": Case({JUDGED: "0+5x120 600x80"}, {JUDGED: "0x200"}, 198),
    "TollbellDeadLetters": Case({LETTERS: "0x5 1x10"}, {LETTERS: "7x15"}, 8),
    "TollbellErrorsLogged": Case({ERRORS: "0x5 1x10"}, {ERRORS: "7x15"}, 8),
    "TollbellPartitionBlocked": Case({HELD: "0x5 1x10"}, {HELD: "0x15"}, 8),
    "TollbellOffsetsLost": Case({LOST: "0x5 1x10"}, {LOST: "7x15"}, 8),
    "TollbellCatalogStale": Case({CATALOG: "1+30x10"}, {CATALOG: "1x4 40x2 1x8"}, 6),
    "TollbellRetentionStuck": Case(
        {AHEAD: "0x70"}, {AHEAD: "2x70", OLDEST_PARTITION: "8000000x70", KEEP: "7776000x70"}, 65
    ),
    "TollbellPostgresSlow": Case(
        {TOOK["_sum"]: "0+60x30", TOOK["_count"]: "0+60x30"},
        {TOOK["_sum"]: "0+1x30", TOOK["_count"]: "0+60x30", PAGE["_sum"]: "0+60x30", PAGE["_count"]: "0+60x30"},
        20,
    ),
}  # fmt: skip
WEEK = 7 * DAY
# What else fires each: the second half of an `or`.
ALSO: list[tuple[str, dict[str, str], int]] = [
    ("TollbellAbsent", {BUILD: "1x3 stale", OTHER_BUILD: "1x20"}, 12),  # one of two deployments
    ("TollbellLagSeconds", {READY: "1x10", AGE: "0x2 _x10"}, 8),
    ("TollbellLagGrowing", {LAG: "2000+100x60", AGE: "30+5x60"}, 59),
    ("TollbellRetentionStuck", {AHEAD: "2x70", OLDEST_PARTITION: "10400000x70", KEEP: "7776000x70"}, 65),
    # Counted before the first scrape: of a new process, and of one that is where another one had counted as many.
    ("TollbellDeliveriesFailed", {GAVE_UP: "_x5 9x10", BEGAN: "_x5 280x10"}, 7),
    ("TollbellDeadLetters", {LETTERS: "_x5 9x10", BEGAN: "_x5 280x10"}, 7),
    ("TollbellErrorsLogged", {ERRORS: "_x5 9x10", BEGAN: "_x5 280x10"}, 7),
    ("TollbellOffsetsLost", {LOST: "4x20 4x10", BEGAN: "0x20 1250x10"}, 22),
    # While one replica of two starts again and again; and one topic of two is silent after a week of records.
    ("TollbellNoRecords", {JUDGED: "0+5x120 600x80", READY: "1x200", OTHER_READY: "1x150 0x1 1x50"}, 198),
    ("TollbellNoRecords", {JUDGED: f"0+5x{WEEK + 90}", LAST: f"0+60x{WEEK} {60 * WEEK}x90"}, WEEK + 85),
]
# And what else does not: near misses.
NEITHER: list[tuple[str, dict[str, str], int]] = [
    ("TollbellAbsent", {BUILD: "1x3 stale _x3 1x20"}, 20),  # a restart
    # A restart of three minutes; and, for good, a target of another job.
    ("TollbellReplicaGone", {UP: "1x3 0x3 1x20", series("up", job="other"): "0x30", OTHER_REPLICA: "1x30"}, 20),
    ("TollbellRoleGone", {READY: "1x3 stale", DELIVERS: "1x3 stale"}, 20),  # of which TollbellAbsent speaks
    ("TollbellRoleGone", {READY: "1x3 stale _x3 1x20", DELIVERS: "1x30", OTHER_REPLICA: "1x30"}, 20),  # a restart
    ("TollbellRestarting", {BEGAN: "0x5 360x5 720x5 1080x5 1440x10"}, 30),  # a process of others
    ("TollbellLagSeconds", {READY: "1x10", AGE: "0x2 _x1 0x10"}, 10),  # a scrape was missed
    # A load that rises, at which the same second's worth of records is more of them.
    ("TollbellLagGrowing", {LAG: "2000+20x90", AGE: "1x90"}, 89),
    ("TollbellOutboxOld", {OLDEST: "0 60 119 0+60x2 0x10", PAUSED: "0x20"}, 15),
    ("TollbellFirstAttemptLate", first_attempts("0+0x90", "0+0.2x90"), 90),  # a dozen in an hour, all late
    ("TollbellNoRecords", {JUDGED: "0+5x120 600x40 600+5x60"}, 210),  # forty minutes of silence
    # A topic that has records each day at the same time, and another one all the time.
    ("TollbellNoRecords", {JUDGED: f"0+5x{3 * DAY}", LAST: f"0x{DAY} 9x{DAY} 99x{DAY}"}, 3 * DAY),
    ("TollbellChannelFailing", {FAILING: "1x3 _x4 1x3 _x4"}, 15),  # twice, each time for less
    # An old process that is scraped for the first time, of a Prometheus that is new.
    ("TollbellDeadLetters", {LETTERS: "_x30 9x10", BEGAN: "_x30 0x10"}, 35),
]


def check(promtool: str, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run(promtool: str, place: Path, name: str, given: dict[str, str], at: int, *, fires: bool) -> None:
    """Let promtool evaluate the rules each minute, more rarely over days; it fires at *at*, or not until then."""
    state = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    expected: dict[str, Any] = {"expr": f"count(max_over_time({state}[{at + 1}m]))", "eval_time": f"{at}m"}
    if fires:
        expected = {"expr": f"count({state})", "eval_time": f"{at}m", "exp_samples": [{"labels": "{}", "value": 1}]}
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in given.items()],
        "promql_expr_test": [expected],
    }
    file = place / "test.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(prometheus.RULES)],
                "evaluation_interval": f"{max(1, at // 1000)}m",
                "tests": [test],
            }
        )
    )
    check(promtool, "test", "rules", str(file))


def test_the_rules_are_rules_of_prometheus(promtool: str) -> None:
    check(promtool, "check", "rules", str(prometheus.RULES))


def test_observability_has_each_alert_sixty_times_as_fast() -> None:
    rules = [
        rule for group in yaml.safe_load(faster(prometheus.RULES.read_text()))["groups"] for rule in group["rules"]
    ]

    assert [rule["alert"] for rule in rules] == list(ALERTS)
    assert re.findall(r"\b\d+[smhdw]\b", " ".join(rule["expr"] + rule.get("for", "") for rule in rules)) == []
    assert {rule["alert"]: rule.get("for") for rule in rules}["TollbellNotReady"] == "2000ms"


def test_every_alert_has_a_case() -> None:
    assert CASES.keys() == ALERTS.keys()


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires(promtool: str, tmp_path: Path, name: str) -> None:
    run(promtool, tmp_path, name, CASES[name].fires, CASES[name].at, fires=True)


@pytest.mark.parametrize("name", CASES)
def test_an_alert_stays_silent(promtool: str, tmp_path: Path, name: str) -> None:
    run(promtool, tmp_path, name, CASES[name].silent, CASES[name].at, fires=False)


@pytest.mark.parametrize(("name", "given", "at"), ALSO)
def test_an_alert_fires_for_its_other_reason(
    promtool: str, tmp_path: Path, name: str, given: dict[str, str], at: int
) -> None:
    run(promtool, tmp_path, name, given, at, fires=True)


@pytest.mark.parametrize(("name", "given", "at"), NEITHER)
def test_an_alert_stays_silent_at_a_near_miss(
    promtool: str, tmp_path: Path, name: str, given: dict[str, str], at: int
) -> None:
    run(promtool, tmp_path, name, given, at, fires=False)


def test_no_records_is_silent_while_kafka_cannot_be_read(promtool: str, tmp_path: Path) -> None:
    given = {JUDGED: "0+5x120 600x80", READY: "1x120 0x80"}

    run(promtool, tmp_path, "TollbellNoRecords", given, 198, fires=False)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_metrics_and_labels_that_are_there(name: str) -> None:
    assert faults(str(ALERTS[name]["expr"]), known()) == []


def test_every_module_of_statements_is_watched_or_may_be_slow() -> None:
    (watched,) = set(re.findall(r'statement=~"\((.*?)\)/', str(ALERTS["TollbellPostgresSlow"]["expr"])))

    modules = {name.partition("/")[0] for name in queries.names()}
    assert modules == {*watched.split("|"), *MAY_BE_SLOW}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(tollbell_record_total[5m])", "no metric tollbell_record_total"),
        ('tollbell_channels{status="paused"}', "tollbell_channels has no label status"),
        ('tollbell_channels{state="PAUSED"}', "tollbell_channels has no state='PAUSED'"),
        ('tollbell_attempts_total{outcome=~"time_.*"}', "tollbell_attempts_total has no outcome=~'time_.*'"),
        ("sum by (job, topics) (tollbell_consumer_lag)", "no series of it has the label topics"),
    ],
)
def test_a_name_that_is_not_there_is_noticed(expression: str, fault: str) -> None:
    assert faults(expression, known()) == [fault]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_what_and_where_to_read_on(name: str) -> None:
    rule: Any = ALERTS[name]
    notes = rule["annotations"]

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    named = set(re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]))
    grouped = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    kept = {label.strip() for one in grouped for label in one.split(",")} if grouped else {"check", "job", "instance"}
    assert named <= kept, "Prometheus would write nothing in its place"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert list(ALERTS) == HEADINGS


@pytest.mark.parametrize("name", HEADINGS)
def test_a_runbook_has_its_four_parts_in_order(name: str) -> None:
    text = RUNBOOKS.partition(f"## {name}\n")[2].partition("\n## ")[0]

    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == PARTS


def test_what_the_runbooks_name_is_there() -> None:
    registry = known()

    series_named = set(re.findall(r"`(?:[^`]*?)(tollbell_[a-z_]+)", RUNBOOKS)) - {"tollbell_postgres_statement_seconds"}
    histograms = {name.removesuffix("_count") for name in registry if name.endswith("_count")}
    assert {name for name in series_named if name not in registry and name not in histograms} == set()
    expressions = set(re.findall(r"`([^`]*\b(?:tollbell|process)_[a-z_]+[^`]*)`", RUNBOOKS))
    bare = {f"no metric {name}" for name in histograms}
    assert {fault for one in expressions for fault in faults(one, registry)} - bare == set()


def test_the_calls_of_the_runbooks_are_calls_of_the_api() -> None:
    called = re.findall(r"`(GET|POST) (/api/v1/[\w/]+)", RUNBOOKS)

    paths = document()["paths"]
    assert len(called) > 2
    assert [path for method, path in called if method.lower() not in paths[path.replace("CHANNEL", "{channel}")]] == []
