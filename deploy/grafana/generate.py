"""Writes the dashboards next to this file: `python deploy/grafana/generate.py`, or `make dashboards`.

Classic JSON, schemaVersion 41, which Grafana loads from 11 on, and migrates in newer ones. What they show is in
`rows.py`. `tests/unit/test_dashboards.py` compares the files with what is made here.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from panels import Panel, Row
from rows import DELIVERIES, OVERVIEW

WIDTH: Final = 24  # columns of Grafana's grid
HERE: Final = Path(__file__).parent
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            return {"colorMode": "background", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
        case "heatmap":
            return {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"mode": "scheme", "scheme": "Blues"}}
        case _:
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    elif panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    return {"mode": "absolute", "steps": steps}


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": DATASOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "format": "heatmap" if panel.kind == "heatmap" else "time_series",
        }
        for n, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)},
            "overrides": [],
        },
        "options": _options(panel),
        "targets": targets,
    }


def _panels(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows' headings and panels, each line filled from the left."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        grid = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        placed.append({"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": grid,
                       "panels": []})  # fmt: skip
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + panel.height
            placed.append(_panel(panel, len(placed) + 1, x, y))
            x += panel.width
        y += row.panels[-1].height
    return placed


def _variable(name: str, query: str) -> dict[str, Any]:
    """Return a variable that has the values of a label, all of them by default."""
    return {
        "name": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard(uid: str, title: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a dashboard as Grafana's Classic JSON."""
    other = {"asDropdown": False, "icon": "external link", "includeVars": True, "keepTime": True, "tags": ["tollbell"]}
    return {
        "uid": uid,
        "title": title,
        "tags": ["tollbell"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [{"title": "Tollbell", "type": "dashboards", **other}],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                _variable("job", "label_values(tollbell_build_info, job)"),
                _variable("instance", 'label_values(tollbell_build_info{job=~"$job"}, instance)'),
            ]
        },
        "panels": _panels(rows),
    }


def dashboards() -> dict[str, str]:
    """Return the text of each file by its name."""
    made = (
        dashboard("tollbell-overview", "Tollbell / Overview", OVERVIEW),
        dashboard("tollbell-deliveries", "Tollbell / Deliveries", DELIVERIES),
    )
    return {f"{one['uid']}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n" for one in made}


if __name__ == "__main__":
    for name, text in dashboards().items():
        (HERE / name).write_text(text, encoding="utf-8")
