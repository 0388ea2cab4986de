"""The layers hold, and would be seen if they did not: an import that must break the build does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def layers(copy: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the copy, whose own packages come first on the path."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("consumer", "schemas"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("consumer/decide/judge.py", "import random", "The judgement, the formats and the contracts are pure"),
        ("consumer/formats/slack.py", "import time", "The judgement, the formats and the contracts are pure"),
        ("consumer/formats/slack.py", "from consumer.store import rendered", "The pipeline"),
        ("consumer/deliver/attempt.py", "from consumer.consume import parse", "The pipeline"),
    ],
)
def test_an_import_against_the_layers_breaks_the_build(copy: Path, module: str, line: str, broken: str) -> None:
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    result = layers(copy)

    assert result.returncode == 1
    (said,) = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert said.startswith(broken)
