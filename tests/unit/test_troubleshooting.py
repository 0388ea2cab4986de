"""docs/troubleshooting.md names each wrong set-up that the tests make, with the status and the text of today."""

import ast
import re
from pathlib import Path

import pytest

from consumer import addresses, config
from consumer.commands import check, run
from consumer.consume import rehearsal
from consumer.store import connections, database, migrate
from tests.setups import cases
from tests.unit.test_wrong_settings import PAGE, SETUPS

SOURCES = (addresses, check, run, rehearsal, connections, database, migrate, config)
PORT = 38432
CASES = [case for case in cases.all_cases(Path("/etc/tollbell"), [PORT]) if case.says != "ok"]


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table under the heading *section*, without its head."""
    part = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def texts(cell: str) -> list[str]:
    """Return what is in backticks, single or double."""
    return [text for pair in re.findall(r"`` (.*?) ``|`([^`]*)`", cell) for text in pair if text]


def constants() -> str:
    """Return every text of the sources, a line each; of a text with values in it, what is between them."""
    trees = [ast.parse(Path(str(one.__file__)).read_text(encoding="utf-8")) for one in SOURCES]
    found = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\n".join(text for text in found if isinstance(text, str))


def test_every_wrong_setting_is_a_row_and_nothing_else_is() -> None:
    assert [row[0] for row in rows("Wrong settings")] == [name for name, *_ in SETUPS]


@pytest.mark.parametrize(("section", "prefix"), [("Kafka", "kafka: "), ("Postgres", "postgres")])
def test_every_wrong_set_up_is_a_row_with_its_status_and_text(section: str, prefix: str) -> None:
    expected = [case for case in CASES if case.name.startswith(prefix)]

    found = rows(section)

    assert [row[0] for row in found] == [case.name.partition(": ")[2] for case in expected]
    for (_, checked, ran, cell), case in zip(found, expected, strict=True):
        assert (checked, ran) == (str(case.check_status), str(case.run_status)), case.name
        [text] = texts(cell)
        assert re.search(case.says, text), case.name


def test_what_check_finds_besides_is_printed_by_the_code() -> None:
    printed = constants()
    found = [text for row in rows("What else check finds") for text in texts(row[3])]

    parts = [part.strip(" :") for text in found for part in text.split("…")]

    assert len(found) >= 10
    assert [part for part in parts if part not in printed] == []


def test_there_are_at_least_thirty() -> None:
    assert sum(len(rows(section)) for section in ("Wrong settings", "Kafka", "Postgres", "What else check finds")) >= 30
