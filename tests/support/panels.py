"""The panels and queries of the dashboards in the tree."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[2] / "deploy/grafana"


def panels(file: Path) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, without the rows' headings."""
    return [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]


def queries(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each query of a dashboard with its panel's title."""
    for panel in panels(file):
        for target in panel["targets"]:
            yield panel["title"], target
