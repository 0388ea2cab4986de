"""An extension has one obvious place: made in a copy of the tree, where mypy names what is missing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.architecture import additions

ROOT = Path(__file__).parents[2]
CONSOLE = {"consumer/serve/console/drafts.py", "consumer/serve/console/words.py"}


class Copy:
    """A copy of the tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.edited: set[str] = set()
        for package in ("consumer", "schemas", "deploy/enforcement"):
            shutil.copytree(ROOT / package, path / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", path)
        if (ROOT / ".mypy_cache").exists():
            shutil.copytree(ROOT / ".mypy_cache", path / ".mypy_cache")

    def write(self, file: str, text: str) -> None:
        (self.path / file).write_text(text, encoding="utf-8")
        self.edited.add(file)

    def edit(self, file: str, edits: Sequence[tuple[str, str]]) -> None:
        text = (self.path / file).read_text(encoding="utf-8")
        for old, new in edits:
            assert text.count(old) == 1, f"{file} has {text.count(old)} times: {old}"
            text = text.replace(old, new)
        self.write(file, text)

    def all_edits(self, edits: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        for file, of_file in edits.items():
            self.edit(file, of_file)

    def mypy(self) -> str:
        return self._run("mypy", "--no-color-output", "--hide-error-context").stdout

    def python(self, code: str) -> str:
        ran = self._run("-c", code)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        called = command if command[0] == "-c" else ("-m", *command)
        return subprocess.run(
            [sys.executable, *called],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(self.path), "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def files(errors: str) -> set[str]:
    return set(re.findall(r"^([\w/]+\.py):\d+: error", errors, re.MULTILINE))


def test_mypy_names_each_place_a_new_rule_type_lacks(copy: Copy) -> None:
    copy.all_edits(additions.RULE_TYPE_NAMED)
    named = files(copy.mypy())
    copy.all_edits(additions.RULE_TYPE_REGISTERED)
    copy.all_edits(additions.RULE_TYPE_PAYLOAD)
    copy.write(additions.FORECAST, additions.FORECAST_WITHOUT_SAMPLE)
    lacking = copy.mypy()

    assert named == files(lacking) == {"consumer/decide/rules/__init__.py", *CONSOLE}
    assert 'Argument 1 to "AboutEntitlements" has incompatible type Module' in lacking
    assert "note:     sample\n" in lacking


def test_a_new_rule_type_fires_and_costs_four_files(copy: Copy) -> None:
    copy.all_edits(additions.RULE_TYPE_NAMED)
    copy.all_edits(additions.RULE_TYPE_REGISTERED)
    copy.all_edits(additions.RULE_TYPE_PAYLOAD)
    copy.write(additions.FORECAST, additions.FORECAST_WHOLE)
    own = set(copy.edited)
    copy.all_edits(additions.RULE_TYPE_CONSOLE)

    assert copy.mypy().startswith("Success")
    assert copy.python(additions.RULE_TYPE_USED).splitlines() == additions.RULE_TYPE_SAYS
    assert len(own) <= 4
    assert copy.edited - own == CONSOLE


def test_mypy_names_each_place_a_new_format_lacks(copy: Copy) -> None:
    copy.all_edits(additions.FORMAT_NAMED)
    named = files(copy.mypy())
    copy.write(additions.PLAIN, additions.PLAIN_WHOLE)
    copy.all_edits(additions.FORMAT_REGISTERED)

    assert named == additions.FORMAT_REGISTERED.keys()
    assert copy.mypy().startswith("Success")
    assert copy.python(additions.FORMAT_USED) == additions.FORMAT_SAYS
    assert len(copy.edited) <= 5


def test_a_new_input_costs_two_files(copy: Copy) -> None:
    copy.write(additions.ACME, additions.ACME_WHOLE)
    copy.all_edits(additions.INPUT_REGISTERED)

    assert copy.mypy().startswith("Success")
    assert copy.python(additions.INPUT_USED) == additions.INPUT_SAYS
    assert len(copy.edited) == 2


def test_mypy_names_who_judges_a_new_kind_of_source_event(copy: Copy) -> None:
    copy.all_edits(additions.SOURCE_EVENT)

    assert "consumer/decide/judge.py" in files(copy.mypy())
