"""The way that `consumer/__init__.py` leads through one record is short enough to be read in an hour."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_FILES = 8
MOST_LINES = 1200


def test_the_first_hour_has_few_files_and_lines() -> None:
    page = ast.get_docstring(ast.parse((ROOT / "consumer/__init__.py").read_text(encoding="utf-8"))) or ""
    named = re.findall(r"^\d\. `([\w/]+\.py)`", page, re.MULTILINE)
    lines = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in named}

    assert 5 <= len(named) <= MOST_FILES
    assert sum(lines.values()) <= MOST_LINES, lines


def test_the_drawing_names_files_that_are_there() -> None:
    page = (ROOT / "consumer/__init__.py").read_text(encoding="utf-8")
    named = {*re.findall(r"`((?:consume|decide|store|deliver)/\w+\.py)`", page), "handoff.py", "store/outbox.py"}

    assert {file for file in named if not (ROOT / "consumer" / file).exists()} == set()
    assert "└─► handoff.py" in page
