"""The issue templates are forms as GitHub takes them, and what they name is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.cli import COMMANDS

ROOT = Path(__file__).parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
TYPES = {"markdown", "textarea", "input", "dropdown", "checkboxes"}  # GitHub's documentation of its form schema


def read(path: Path) -> dict[str, Any]:
    form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return form


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_template_is_a_form(path: Path) -> None:
    form = read(path)
    fields = [field for field in form["body"] if field["type"] != "markdown"]

    assert form["name"]
    assert form["description"]
    assert {field["type"] for field in form["body"]} <= TYPES
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_a_report_of_a_bug_leads_security_problems_elsewhere() -> None:
    [form] = [read(path) for path in FORMS if path.stem == "bug"]

    assert "SECURITY.md" in form["body"][0]["attributes"]["value"]
    assert (ROOT / "SECURITY.md").exists()


@pytest.mark.parametrize("path", [*FORMS, ROOT / ".github/pull_request_template.md"], ids=lambda path: path.stem)
def test_the_commands_and_files_that_a_template_names_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(re.findall(r"`tollbell ([a-z]+)", text)) <= set(COMMANDS)
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= set(targets)
    assert [name for name in re.findall(r"`([\w/]+\.md)`", text) if not (ROOT / name).exists()] == []
