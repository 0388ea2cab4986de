"""The shape that `style` promises: small files, small functions, one statement a file, each run by a module."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.store import queries

ROOT = Path(__file__).parents[2]
PACKAGES = ("consumer", "schemas", "deploy/enforcement")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
SQL_WORDS = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE .* SET|DELETE FROM|CREATE TABLE)\b", re.DOTALL)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_has_at_most_400_lines_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_function_has_at_most_50_lines(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    lengths = {one.name: (one.end_lineno or one.lineno) - one.lineno + 1 for one in functions(tree)}

    assert {one: length for one, length in lengths.items() if length > 50} == {}


def test_a_tests_name_has_at_most_60_characters() -> None:
    names = [
        f"{name(path)}::{one.name}"
        for path in TESTS
        for one in functions(ast.parse(path.read_text(encoding="utf-8")))
        if one.name.startswith("test_")
    ]

    assert len(names) > len(TESTS)
    assert [one for one in names if len(one.partition("::")[2]) > 60] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_constant_is_raised(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]

    # Its traceback would have the frames of each time, and keep all that they hold, for ever.
    assert [one.id for one in raised if isinstance(one, ast.Name) and one.id.isupper()] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_statement_is_put_together_from_parts(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    parts = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod))
    ]

    assert [part for part in parts if SQL_WORDS.search(part)] == []


# A module that runs statements of another's folder: it reads or writes that one's tables. The names of statements
# are in metrics: they do not move with the modules.
PARTS = {"configured": "configuration", "consents": "deliveries", "ended": "memory", "migrate": "database"}
BORROWED = {
    ("configuration", "catalog/bump"),
    ("configuration", "catalog/notify"),
    ("jobs", "history/own_plan"),
    ("levels", "history/own_plan"),
}


def test_each_statement_is_run_by_the_module_of_its_name() -> None:
    """And each one that is run exists."""
    run = {
        (path.stem, found)
        for path in (ROOT / "consumer").rglob("*.py")
        for found in re.findall(r'"([a-z]+/[a-z_]+)"', path.read_text(encoding="utf-8"))
        if (ROOT / "consumer/store/sql" / found.partition("/")[0]).is_dir()
    }
    elsewhere = {
        (module, statement)
        for module, statement in run
        if statement.partition("/")[0] not in {module, PARTS.get(module)}
    }

    assert {statement for _, statement in run} == set(queries.names())
    assert elsewhere == BORROWED


@pytest.mark.parametrize("statement", queries.names())
def test_a_statement_is_opened_by_what_it_guarantees(statement: str) -> None:
    text = (ROOT / "consumer" / "store" / "sql" / f"{statement}.sql").read_text(encoding="utf-8")

    assert text.startswith("-- ")
    assert (ROOT / "consumer" / "store" / f"{Path(statement).parent}.py").exists()


def test_lines_of_statements_are_as_short_as_those_of_code() -> None:
    texts = {name: (ROOT / f"consumer/store/sql/{name}.sql").read_text(encoding="utf-8") for name in queries.names()}

    assert [(name, line) for name, text in texts.items() for line in text.splitlines() if len(line) > 120] == []


def test_one_place_outlives_whatever_happens() -> None:
    outliving = {
        name(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not isinstance(node.body[-1], ast.Raise)
    }

    assert outliving == {"consumer/loop.py"}


def test_branches_of_pure_code_need_examples() -> None:
    """The fast path, the judgement, the formats and the contracts need 100 % branch coverage."""
    coverage = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert coverage["run"] == {
        "branch": True,
        "source": ["consumer/consume/fast_path", "consumer/decide", "consumer/formats", "schemas"],
    }
    assert coverage["report"]["fail_under"] == 100
    assert coverage["report"]["exclude_also"] == ["assert_never\\(", "if TYPE_CHECKING:"]
    assert "pytest $(if $(ARGS),,--cov $(WORKERS)) $(ARGS)" in makefile
    assert [name(path) for path in FILES if "pragma" in path.read_text(encoding="utf-8")] == []
