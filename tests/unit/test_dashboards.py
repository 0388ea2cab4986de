"""The dashboards are what their generator makes, name what is there, and each panel says what it shows and in what."""

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.expressions import faults, known
from tests.support.panels import GRAFANA, panels, queries

FILES = sorted(GRAFANA.glob("*.json"))
PANELS = [pytest.param(panel, id=f"{file.stem}: {panel['title']}") for file in FILES for panel in panels(file)]
QUERIES = [pytest.param(one, id=f"{file.stem}: {title}") for file in FILES for title, one in queries(file)]


def test_the_files_are_what_the_generator_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(GRAFANA)

    made = runpy.run_path(str(GRAFANA / "generate.py"))["dashboards"]()

    assert {file.name: file.read_text() for file in FILES} == made, "run `make dashboards`"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_is_found_again_and_fits_any_deployment(file: Path) -> None:
    one = json.loads(file.read_text())

    assert (one["schemaVersion"], one["editable"], one["uid"]) == (41, False, file.stem)
    assert [variable["name"] for variable in one["templating"]["list"]] == ["datasource", "job", "instance"]
    assert len({panel["id"] for panel in one["panels"]}) == len(one["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in one["panels"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_unit_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 5
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_and_labels_that_are_there(query: dict[str, str]) -> None:
    expression = query["expr"]

    assert faults(expression, known()) == []
    assert expression.count('job=~"$job", instance=~"$instance"') == len(
        re.findall(r"(?:tollbell|process)_\w+\{", expression)
    )
    assert not re.search(r"rate\([^)]*\[(?!\$__rate_interval)", expression)
    if query["legendFormat"] != "__auto":
        legend = set(re.findall(r"{{(\w+)}}", query["legendFormat"]))
        grouped = {label.strip() for one in re.findall(r"\bby \(([^)]*)\)", expression) for label in one.split(",")}
        assert legend <= grouped


@pytest.mark.parametrize("query", QUERIES)
def test_a_counter_is_asked_for_its_growth_and_a_gauge_is_not(query: dict[str, str]) -> None:
    for grown, name in re.findall(r"(rate\(|increase\()?((?:tollbell|process)_\w+)\{", query["expr"]):
        assert bool(grown) == name.endswith(("_total", "_bucket", "_sum", "_count")), name


# What a replica shows of channels: some fail, none does, Postgres does not say.
@pytest.mark.parametrize(
    ("shown", "count"),
    [
        (['tollbell_channels{state="enabled"}', 'tollbell_channel_failing{channel_id="ch-1"}'], 1),
        (['tollbell_channels{state="enabled"}'], 0),
        (['tollbell_ready{check="postgres"}'], None),
    ],
)
def test_no_failing_channel_is_0_only_where_that_is_known(
    promtool: str, tmp_path: Path, shown: list[str], count: int | None
) -> None:
    [expression] = {one["expr"] for file in FILES for title, one in queries(file) if title == "Channels failing"}
    place = 'job="tollbell",instance="a"'
    test = {
        "interval": "1m",
        "input_series": [{"series": one.replace("}", f",{place}}}"), "values": "1x5"} for one in shown],
        "promql_expr_test": [
            {
                "expr": expression.replace('"$job"', '".+"').replace('"$instance"', '".+"'),
                "eval_time": "3m",
                "exp_samples": [] if count is None else [{"labels": "{}", "value": count}],
            }
        ],
    }
    (file := tmp_path / "test.yaml").write_text(yaml.safe_dump({"tests": [test]}))

    done = subprocess.run([promtool, "test", "rules", str(file)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_queries_are_expressions_of_prometheus(promtool: str, tmp_path: Path) -> None:
    found = [query["expr"].replace("$__rate_interval", "1m") for file in FILES for _, query in queries(file)]
    rules = [{"record": f"panel_{n}", "expr": expression} for n, expression in enumerate(found)]
    (file := tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    done = subprocess.run([promtool, "check", "rules", str(file)], check=False, capture_output=True, text=True)

    assert len(found) > 50
    assert done.returncode == 0, done.stdout + done.stderr
